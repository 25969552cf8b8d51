import Base
import FoundationEssentials
import TestSupport
import Testing

/// A shipped server that speaks TLS with a certificate of its own making, and where it answers.
struct TLSInstallation {
    static let token = "berthw_0123456789abcdef0123456789abcdef0123456789abcdef"

    let place: Installation
    let server: ChildProcess
    let url: String
    /// As the server prints it.
    let pin: String

    var port: Substring { url.split(separator: ":").last ?? "" }
    var certificate: String { place.directory.file("certificate.pem") }
    var key: String { place.directory.file("key.pem") }
    var apiKey: String { get throws { try String(contentsOfFile: place.data + "/api-key", encoding: .utf8).trimmed } }

    /// Makes a self-signed certificate for 127.0.0.1, which needs no authority but itself.
    static func makeCertificate(in directory: String, days: Int = 30) async throws {
        try await check([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "\(days)", "-subj", "/CN=berth", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", directory + "/key.pem.new", "-out", directory + "/certificate.pem.new",
        ])
        for name in ["key.pem", "certificate.pem"] {
            try await check(["mv", "\(directory)/\(name).new", "\(directory)/\(name)"])
        }
    }

    static func with(days: Int = 30, _ body: (TLSInstallation) async throws -> Void) async throws {
        let place = try Installation(variables: ["BERTH_WORKER_TOKEN": token])
        try await makeCertificate(in: place.directory.path, days: days)
        try place.directory.write(token, to: "token")
        let flags = [
            "--tls-certificate", place.directory.file("certificate.pem"), "--tls-key", place.directory.file("key.pem"),
        ]
        try await withServer(place, flags: flags) { place, server in
            let pin = try await server.line(containing: "berth shows the key ", on: .stderr)
            let url = try await server.line(containing: "berth is listening on ", on: .stderr)
            try await body(
                TLSInstallation(
                    place: place,
                    server: server,
                    url: String(url.split(separator: " ").last ?? ""),
                    pin: String(pin.split(separator: " ").last ?? "")
                )
            )
        }
    }

    /// A worker on its own, as on another machine.
    func worker(_ options: [String], variables: [String: String] = [:]) throws -> ChildProcess {
        let folder = place.directory
        return try ChildProcess(
            [
                ProgramLocation.path("berth-hold"), "--socket", folder.file("hold.sock"), "--worker",
                ProgramLocation.path("berth-worker"), "--link", "wss://127.0.0.1:\(port)",
                "--token-file", folder.file("token"), "--state", folder.file("state"),
                "--holder", folder.file("hold.sock"), "--workspaces", folder.file("workspaces"),
            ] + options,
            environment: ChildProcess.plainEnvironment.merging(variables) { $1 }
        )
    }

    /// A command of the CLI as on another machine: it knows nothing of the data directory.
    func remote(_ arguments: String..., trusting variables: [String: String]) async throws -> CommandResult {
        let elsewhere = [
            "BERTH_DATA": place.directory.file("elsewhere"), "BERTH_URL": url, "BERTH_API_KEY": try apiKey,
        ]
        return try await TestSupport.run(
            [ProgramLocation.path("berth")] + arguments,
            environment: place.environment.merging(elsewhere) { $1 }.merging(variables) { $1 },
            within: .seconds(120)
        )
    }

    /// As ``remote(_:trusting:)``, to be watched while it runs.
    func starting(_ arguments: String..., trusting variables: [String: String]) throws -> ChildProcess {
        let elsewhere = [
            "BERTH_DATA": place.directory.file("elsewhere"), "BERTH_URL": url, "BERTH_API_KEY": try apiKey,
        ]
        return try ChildProcess(
            [ProgramLocation.path("berth")] + arguments,
            environment: place.environment.merging(elsewhere) { $1 }.merging(variables) { $1 }
        )
    }

    /// One call of the API; the answer.
    func call(_ path: String, _ body: String? = nil) async throws -> JSONValue {
        let sending = body.map { ["-H", "Content-Type: application/json", "--data-binary", $0] } ?? []
        let text = try await check(
            ["curl", "-s", "--cacert", certificate, "-H", "Authorization: Bearer \(try apiKey)"] + sending + [
                url + path
            ]
        )
        return try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    }
}
