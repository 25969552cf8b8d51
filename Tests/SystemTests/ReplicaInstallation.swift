import Base
import FoundationEssentials
import TestSupport

/// Several shipped servers on one PostgreSQL database, each with a data directory of its own, and a worker that knows
/// all of them.
final class ReplicaInstallation: Sendable {
    static let token = "berthw_0123456789abcdef0123456789abcdef0123456789abcdef"

    struct Server: Sendable {
        let place: Installation
        let process: ChildProcess
        /// `http://127.0.0.1:PORT`
        let url: String

        var port: String { String(url.split(separator: ":").last ?? "") }
        var key: String { get throws { try String(contentsOfFile: place.data + "/api-key", encoding: .utf8).trimmed } }
    }

    let folder: TemporaryDirectory
    let variables: [String: String]
    /// PEM file of the authority that has signed the servers' certificates; nil: they do without TLS.
    let authority: String?

    private init(_ database: Secret<String>, usesTLS: Bool) throws {
        folder = try TemporaryDirectory("replicas")
        authority = usesTLS ? folder.file("authority.pem") : nil
        variables = [
            "BERTH_DATABASE": database.reveal(),
            "BERTH_MASTER_KEY": Hex.encode(SystemRandomness().bytes(32)),
            "BERTH_WORKER_TOKEN": Self.token,
        ].merging(authority.map { ["BERTH_CA_FILE": $0] } ?? [:]) { $1 }
        try folder.write(Self.token, to: "token")
    }

    static func with(tls: Bool = false, _ body: (ReplicaInstallation) async throws -> Void) async throws {
        let cluster = try await PostgresCluster.shared()
        try await cluster.withDatabase(migrated: false) { name in
            let setup = try ReplicaInstallation(cluster.url(name), usesTLS: tls)
            if tls { try await setup.makeAuthority() }
            try await body(setup)
        }
    }

    /// - Parameter listen: where an earlier one of the same name did.
    func serve(
        _ name: String,
        listen: String = "127.0.0.1:0",
        flags: [String] = [],
        variables more: [String: String] = [:]
    ) async throws -> Server {
        let place = try Installation(variables: variables.merging(more) { $1 }, data: folder.file(name))
        let process = try await place.serve(listen: listen, flags: flags)
        let line = try await process.line(containing: "berth is listening on ", on: .stderr)
        return Server(place: place, process: process, url: String(line.split(separator: " ").last ?? ""))
    }

    /// A worker on its own that is told of servers in this order. Its agent is `script`, which gets the task as `$task`.
    func worker(_ servers: [Server], agent script: String, trusting trust: [String: String] = [:]) async throws
        -> ChildProcess
    {
        try folder.write(
            """
            #!/bin/sh
            task=$(cat)
            echo '{"type":"system","subtype":"init","session_id":"s1","model":"scripted"}'
            \(script)
            echo '{"type":"result","subtype":"success","is_error":false,"result":"4","session_id":"s1","num_turns":1}'
            """,
            to: "claude.sh"
        )
        // By another process: one that is just being started by a test beside this one would hold the file open for writing.
        try await check(["install", "-D", "-m", "755", folder.file("claude.sh"), folder.file("bin/claude")])
        let path = folder.file("bin") + ":" + (ChildProcess.plainEnvironment["PATH"] ?? "")
        let worker = try ChildProcess(
            [
                ProgramLocation.path("berth-hold"), "--socket", folder.file("hold.sock"), "--worker",
                ProgramLocation.path("berth-worker"), "--token-file", folder.file("token"),
                "--state", folder.file("state"), "--holder", folder.file("hold.sock"),
                "--workspaces", folder.file("workspaces"),
            ],
            environment: ChildProcess.plainEnvironment.merging([
                "PATH": path, "BERTH_SERVER": servers.map(\.url).joined(separator: ","),
            ]) { $1 }.merging(trust) { $1 }
        )
        _ = try await worker.line(containing: "link up", on: .stderr)
        return worker
    }

    /// A command of the CLI as on another machine.
    func starting(_ arguments: String..., at servers: [Server]) throws -> ChildProcess {
        try ChildProcess(
            [ProgramLocation.path("berth")] + arguments,
            environment: ChildProcess.plainEnvironment.merging([
                "BERTH_DATA": folder.file("elsewhere"), "BERTH_API_KEY": try servers[0].key, "NO_COLOR": "1",
                "BERTH_SERVER": servers.map(\.url).joined(separator: ","),
            ]) { $1 }.merging(authority.map { ["BERTH_CA_FILE": $0] } ?? [:]) { $1 }
        )
    }

    /// One call of the API; the answer's bytes.
    func fetch(_ path: String, _ body: String? = nil, method: String? = nil, at server: Server) async throws -> String {
        let sending = body.map { ["-H", "Content-Type: application/json", "--data-binary", $0] } ?? []
        let method = method.map { ["-X", $0] } ?? []
        let trust = authority.map { ["--cacert", $0] } ?? []
        return try await check(
            ["curl", "-sS", "-H", "Authorization: Bearer \(try server.key)"] + trust + method + sending
                + [server.url + path]
        )
    }

    func call(_ path: String, _ body: String? = nil, method: String? = nil, at server: Server) async throws -> JSONValue
    {
        let text = try await fetch(path, body, method: method, at: server)
        return try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    }

    /// Gives the scripted agent a task; the execution's id.
    func run(_ task: String, at server: Server) async throws -> String {
        let accepted = try await call("/api/execute", #"{"personaId":"test","prompt":"\#(task)"}"#, at: server)
        guard let id = accepted["executionId"]?.string else { throw SystemFailure("POST /api/execute: \(accepted)", 1) }
        return id
    }

    func end(_ processes: ChildProcess...) async throws {
        for process in processes where !process.hasEnded {
            process.signal(15)
            _ = try await process.exit(within: .seconds(30))
        }
    }
}
