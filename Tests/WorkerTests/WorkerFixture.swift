import Base
import Database
import Domain
import EventLoop
import FoundationEssentials
import Glibc
import TestSupport
import WorkerProtocol

/// A holder with its worker, and a server for them: real programs in a directory of the test's own.
final class WorkerFixture: Sendable {
    let directory: TemporaryDirectory
    let loop: EventLoop
    let server: PlainServer
    let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())
    private let holder: ChildProcess

    /// - Parameters:
    ///   - disk: size of a disk of its own for the worker's state, as mount(8) writes it; needs root.
    ///   - silence: how long ago the worker's predecessor heard its server.
    init(
        path: String = "/usr/local/bin:/usr/bin:/bin",
        arguments: [String] = [],
        startingServer: Bool = true,
        disk: String? = nil,
        after silence: Duration? = nil
    ) async throws {
        directory = try TemporaryDirectory("worker")
        for name in ["run", "state", "home"] {
            try FileManager.default.createDirectory(
                atPath: directory.file(name),
                withIntermediateDirectories: false,
                attributes: [.posixPermissions: 0o700]
            )
        }
        try directory.write("test-token\n", to: "run/token")
        if let silence {
            try directory.write("\((SystemTime().uptime + (Duration.zero - silence)).nanoseconds)", to: "state/heard")
        }
        loop = try EventLoop(name: "test-server")
        loop.start()
        server = PlainServer(path: directory.file("run/link.sock"), loop: loop)
        if startingServer { try await server.start() }
        let state = directory.file("state")
        let mount = disk.map { size in
            [
                "unshare", "-m", "--propagation", "private", "sh", "-c",
                "mount -t tmpfs -o size=\(size),mode=700 none \"$0\" && exec \"$@\"", state,
            ]
        }
        holder = try ChildProcess(
            (mount ?? []) + [
                BuiltProduct.path("berth-hold"), "--socket", directory.file("run/hold.sock"), "--grace", "100",
                "--worker", BuiltProduct.path("berth-worker"), "--link", directory.file("run/link.sock"),
                "--token-file", directory.file("run/token"), "--state", directory.file("state"),
            ] + arguments,
            environment: ["PATH": path, "HOME": directory.file("home"), "LANG": "C.UTF-8"]
        )
    }

    deinit {
        holder.signal(SIGTERM)
        loop.stop()
    }

    var home: String { directory.file("home") }
    var log: String { String(decoding: holder.standardError, as: UTF8.self) }

    /// The worker's process number: the holder's child of that name.
    func workerPID() throws -> pid_t {
        for name in try FileManager.default.contentsOfDirectory(atPath: "/proc") {
            guard let pid = pid_t(name), let stat = try? String(contentsOfFile: "/proc/\(name)/stat", encoding: .utf8),
                stat.contains("(berth-worker)"),
                stat.split(separator: ")").last?.split(separator: " ")[1] == "\(holder.pid)"
            else { continue }
            return pid
        }
        throw BerthError(.notFound, "the worker does not run: \(log)")
    }

    var holderPID: pid_t { holder.pid }

    /// RssAnon of the worker, in bytes.
    func anonymousMemory() throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(workerPID())/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
        return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) << 10
    }

    /// Looks again and again, for facts that nobody announces.
    func until(_ what: String, within deadline: Duration = .seconds(20), _ isTrue: () -> Bool) async throws {
        let time = loop.time
        let expiry = time.uptime + deadline
        while !isTrue() {
            guard time.uptime < expiry else { throw BerthError(.timedOut, "waited in vain until \(what)\n\(log)") }
            try await time.wait(for: .milliseconds(5))
        }
    }

    /// Returns once the worker's log of accepted work holds this execution.
    func waitForRow(_ id: ExecutionID) async throws {
        let files = ["state/worker.db-wal", "state/worker.db"].map { directory.file($0) }
        try await until("the row of \(id)") {
            files.contains { path in
                (try? Data(contentsOf: URL(filePath: path)))?.firstRange(of: Data(id.text.utf8)) != nil
            }
        }
    }

    /// Returns once the worker has made the end of this execution durable.
    func waitForEnd(_ id: ExecutionID) async throws {
        let time = loop.time
        let expiry = time.uptime + .seconds(20)
        let records = try SQLiteDatabase(.small(path: directory.file("state/worker.db")), time: time)
        while try await records.read({ try $0.first(Self.end, id) }) == nil {
            guard time.uptime < expiry else { throw BerthError(.timedOut, "the end of \(id) is not stored\n\(log)") }
            try await time.wait(for: .milliseconds(5))
        }
        await records.close()
    }

    private static let end: SQL = "SELECT 1 FROM attempts WHERE execution_id = $1 AND report IS NOT NULL"

    func assignment(
        _ id: ExecutionID,
        command: [String]? = nil,
        prompt: String = "",
        env: [String: String] = [:],
        timeoutMs: Int64 = 60_000,
        maxOutputBytes: Int64 = RunCaps.defaultOutputBytes,
        workspace: WorkspaceRequest? = nil,
        credentials: [ServerMessage.GitCredential] = [],
        maxTurns: Int? = nil
    ) -> ServerMessage {
        .assign(
            .init(
                executionId: id.text,
                personaId: "",
                prompt: prompt,
                env: env,
                config: .init(timeoutMs: timeoutMs, maxOutputBytes: maxOutputBytes),
                attempt: 1,
                agent: .init(kind: command == nil ? .claude : .command, command: command, maxTurns: maxTurns),
                workspace: workspace,
                gitCredentials: credentials
            )
        )
    }

    /// Runs a command to its end.
    func run(_ command: String..., env: [String: String] = [:]) async throws -> (ExecutionID, ExecutionReport) {
        let id: ExecutionID = ids.make()
        try await server.send(assignment(id, command: command, env: env))
        return (id, try await server.report(id))
    }
}
