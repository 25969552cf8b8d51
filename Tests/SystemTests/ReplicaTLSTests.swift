import Base
import FoundationEssentials
import TestSupport
import Testing

/// Two shipped servers on one PostgreSQL that speak TLS, each with a key of its own.
@Suite struct ReplicaTLSTests {
    enum Trust: CaseIterable {
        case authority
        case pins
    }

    @Test(arguments: Trust.allCases)
    func `a run goes on by TLS when the server that its worker is connected to is killed`(trust: Trust) async throws {
        try await ReplicaInstallation.with(tls: true) { setup in
            let (first, firstPin) = try await setup.serveByTLS("first")
            let (second, secondPin) = try await setup.serveByTLS("second")
            #expect(first.url.hasPrefix("https://") && firstPin != secondPin)
            let trusted =
                switch trust {
                case .authority: ["BERTH_CA_FILE": try #require(setup.authority)]
                case .pins: ["BERTH_SERVER_PIN": "\(firstPin),\(secondPin)"]
                }
            let file = setup.folder.file("written")
            let agent = ReplicaTests.counting(3000, in: file)
            let worker = try await setup.worker([first, second], agent: agent, trusting: trusted)
            let id = try await setup.run("count", at: first)
            let viewer = try setup.starting("logs", "-f", "--raw", id, at: [first, second])
            _ = try await viewer.line(containing: "\"n\":000500")
            first.process.signal(9)
            _ = try await first.process.exit()
            _ = try await second.process.line(containing: "worker connected", on: .stderr, within: .seconds(60))
            #expect(try await viewer.exit(within: .seconds(90)) == 0)
            #expect(
                ReplicaTests.counted(String(decoding: viewer.standardOutput, as: UTF8.self))
                    == (try String(contentsOfFile: file, encoding: .utf8))
            )
            try await ReplicaTests.check(id, setup, second, file: file, lines: 3000)
            try await setup.end(worker, second.process)
        }
    }

    @Test func `a worker does not go over to a server whose key is not pinned, and says so`() async throws {
        try await ReplicaInstallation.with(tls: true) { setup in
            let (first, pin) = try await setup.serveByTLS("first")
            let (second, _) = try await setup.serveByTLS("second")
            let trusted = ["BERTH_SERVER_PIN": pin]
            let worker = try await setup.worker([first, second], agent: "exec sleep 600", trusting: trusted)
            first.process.signal(9)
            _ = try await first.process.exit()
            _ = try await worker.line(
                containing: "has another key than the one pinned",
                on: .stderr,
                within: .seconds(60)
            )
            let log = String(decoding: second.process.standardError, as: UTF8.self)
            #expect(!log.contains("worker connected"))
            try await setup.end(worker, second.process)
        }
    }
}

extension ReplicaInstallation {
    private static let newKey = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
    ]

    func makeAuthority() async throws {
        try await TestSupport.check(
            Self.newKey + [
                "-subj", "/CN=authority", "-keyout", folder.file("authority.key"), "-out", folder.file("authority.pem"),
            ]
        )
    }

    /// A server with a key and a certificate of its own, which tells workers of itself; and the pin of its key.
    func serveByTLS(_ name: String) async throws -> (Server, pin: String) {
        let certificate = folder.file("\(name).pem")
        let key = folder.file("\(name).key")
        try await TestSupport.check(
            Self.newKey + [
                "-subj", "/CN=berth", "-addext", "subjectAltName=IP:127.0.0.1",
                "-addext", "basicConstraints=critical,CA:FALSE", "-CA", folder.file("authority.pem"),
                "-CAkey", folder.file("authority.key"), "-keyout", key, "-out", certificate,
            ]
        )
        // What it tells others of itself is given before it listens.
        let program = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1])"
        let place = "127.0.0.1:" + (try await TestSupport.check(["python3", "-c", program])).trimmed
        let server = try await serve(
            name,
            listen: place,
            flags: ["--tls-certificate", certificate, "--tls-key", key],
            variables: ["BERTH_ADVERTISE": "https://\(place)"]
        )
        let line = try await server.process.line(containing: "berth shows the key ", on: .stderr)
        return (server, String(line.split(separator: " ").last ?? ""))
    }
}
