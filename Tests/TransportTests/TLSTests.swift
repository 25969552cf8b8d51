import Base
import EventLoop
import Glibc
import OpenSSL
import TestSupport
import Testing

@testable import Transport

/// Runs a program to its end; the status it exits with.
func run(_ arguments: [String]) -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    defer { posix_spawn_file_actions_destroy(&actions) }
    let argv = arguments.map { strdup($0) } + [nil]
    defer { for argument in argv { free(argument) } }
    var process: pid_t = 0
    guard posix_spawnp(&process, arguments[0], &actions, nil, argv, environ) == 0 else { return -1 }
    var status: Int32 = 0
    waitpid(process, &status, 0)
    return status
}

/// A certificate authority and a server's certificate for `localhost`, made by the openssl program.
final class Certificates: Sendable {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        let extensions = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        try directory.write(extensions, to: "extensions")
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        let steps: [[String]] = [
            ["req", "-x509"] + key
                + ["-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority"],
            ["req"] + key + ["-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost"],
            [
                "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "extensions", "-out", "server.pem",
            ],
            ["x509", "-in", "server.pem", "-noout", "-pubkey", "-out", "server.pub"],
            ["pkey", "-pubin", "-in", "server.pub", "-outform", "DER", "-out", "server.der"],
        ]
        let files: Set = ["key", "pem", "csr", "pub", "der", "extensions"]
        for step in steps {
            let arguments = step.map { word in
                let isFile = files.contains(word.split(separator: ".").last.map(String.init) ?? "")
                return isFile && word != "-pubkey" ? "\(directory.path)/\(word)" : word
            }
            let status = run(["openssl"] + arguments)
            try #require(status == 0, "\(step)")
        }
    }

    func file(_ name: String) -> String { "\(directory.path)/\(name)" }

    var keyDigest: [UInt8] {
        let descriptor = open(file("server.der"), O_RDONLY)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = read(descriptor, &bytes, bytes.count)
        return SHA256.hash(Array(bytes[..<max(0, count)]))
    }
}

@Suite struct TLSTests {
    static let handler: HTTPHandler = { request in
        if request.asksForWebSocket { return try await WebSocketTests.echo(request) }
        if request.path == "/large" {
            return HTTPResponse(
                body: .stream(length: nil) { writer in
                    for _ in 0..<64 { try await writer.write([UInt8](repeating: 0x62, count: 65536)) }
                }
            )
        }
        return .text("\(request.isSecure)")
    }

    func withTLS(
        trust: (Certificates) -> TLSTrust,
        _ body: (HTTPClient, Int, EventLoop, SocketAddress) async throws -> Void
    ) async throws {
        let certificates = try Certificates()
        var configuration = HTTPServerConfiguration()
        configuration.tls = try TLSContext.server(
            certificateFile: certificates.file("server.pem"),
            keyFile: certificates.file("server.key")
        )
        var clientConfiguration = HTTPClientConfiguration()
        clientConfiguration.trust = trust(certificates)
        let fixed = clientConfiguration
        try await withServer(configuration: configuration, handler: Self.handler) { _, loop, address in
            let client = HTTPClient(loop: loop, configuration: fixed)
            try await body(client, address.port, loop, address)
            await client.close()
        }
    }

    @Test func `a client that trusts the authority speaks TLS, also in bulk and by WebSocket`() async throws {
        try await withTLS(trust: { .authorities(file: $0.file("ca.pem")) }) { client, port, _, _ in
            for host in ["localhost", "127.0.0.1"] {
                let answer = try await client.fetch(.init(.get, HTTPURL("https://\(host):\(port)/")))
                #expect(answer.body == Array("true".utf8))
            }
            let large = try await client.fetch(.init(.get, HTTPURL("https://localhost:\(port)/large")))
            #expect(large.body.count == 64 * 65536)
            let socket = try await client.webSocket(HTTPURL("wss://localhost:\(port)/"))
            let bytes = [UInt8](repeating: 9, count: 1_000_000)
            try await socket.send(binary: bytes)
            #expect(try await socket.receive() == .binary(bytes))
            socket.close()
        }
    }

    @Test func `an unknown authority is refused with its reason`() async throws {
        try await withTLS(trust: { _ in .system }) { client, port, _, _ in
            await #expect { () async throws in
                _ = try await client.fetch(.init(.get, HTTPURL("https://localhost:\(port)/")))
            } throws: {
                "\($0)".contains("the certificate of 'localhost' is not accepted")
            }
        }
    }

    @Test func `a certificate for another name is refused`() async throws {
        try await withTLS(trust: { .authorities(file: $0.file("ca.pem")) }) { client, port, _, _ in
            await #expect { () async throws in
                _ = try await client.fetch(.init(.get, HTTPURL("https://127.0.0.2:\(port)/")))
            } throws: {
                "\($0)".contains("not accepted") || "\($0)".contains("refused")
            }
        }
    }

    @Test func `a pinned key needs no authority and admits no other key`() async throws {
        try await withTLS(trust: { .publicKey(sha256: $0.keyDigest) }) { client, port, _, _ in
            let answer = try await client.fetch(.init(.get, HTTPURL("https://localhost:\(port)/")))
            #expect(answer.status == 200)
        }
        try await withTLS(trust: { _ in .publicKey(sha256: [UInt8](repeating: 1, count: 32)) }) { client, port, _, _ in
            await #expect { () async throws in
                _ = try await client.fetch(.init(.get, HTTPURL("https://localhost:\(port)/")))
            } throws: {
                "\($0)".contains("another key than the one pinned")
            }
        }
    }

    @Test func `a client that speaks no TLS is cut off`() async throws {
        try await withTLS(trust: { _ in .system }) { _, _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            let text = try await peer.receiveAll()
            #expect(!text.contains("HTTP/1.1 2"))
        }
    }
}
