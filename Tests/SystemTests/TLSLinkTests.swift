import TestSupport
import Testing

/// A worker on another machine reaches its server by TLS.
@Suite struct TLSLinkTests {
    private func worker(_ folder: TemporaryDirectory, port: Substring, trusting certificate: String?) throws
        -> ChildProcess
    {
        var environment = ChildProcess.plainEnvironment
        if let certificate { environment["SSL_CERT_FILE"] = certificate }
        return try ChildProcess(
            [
                ProgramLocation.path("berth-hold"), "--socket", folder.file("hold.sock"), "--worker",
                ProgramLocation.path("berth-worker"), "--link", "wss://127.0.0.1:\(port)",
                "--token-file", folder.file("token"), "--state", folder.file("state"),
                "--holder", folder.file("hold.sock"), "--workspaces", folder.file("workspaces"),
            ],
            environment: environment
        )
    }

    @Test func `a worker links by TLS to a server that it trusts, and to no other`() async throws {
        let token = "berthw_0123456789abcdef0123456789abcdef0123456789abcdef"
        let installation = try Installation(variables: ["BERTH_WORKER_TOKEN": token])
        let folder = installation.directory
        let certificate = folder.file("certificate.pem")
        try await check([
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder.file("key.pem"), "-out", certificate,
        ])
        try folder.write(token, to: "token")
        let server = try await installation.serve(
            flags: ["--set", "tlsCertificate=\(certificate)", "--set", "tlsKey=\(folder.file("key.pem"))"]
        )
        let line = try await server.line(containing: "berth is listening on", on: .stderr)
        let port = try #require(line.split(separator: ":").last)

        let stranger = try worker(folder, port: port, trusting: nil)
        _ = try await stranger.line(containing: "link lost", on: .stderr)
        #expect(!String(decoding: server.standardError, as: UTF8.self).contains("worker connected"))
        stranger.signal(15)
        _ = try await stranger.exit(within: .seconds(20))

        let friend = try worker(folder, port: port, trusting: certificate)
        _ = try await server.line(containing: "worker connected", on: .stderr)
        friend.signal(15)
        _ = try await friend.exit(within: .seconds(20))
        server.signal(15)
        _ = try await server.exit(within: .seconds(20))
    }
}
