import Base
import EventLoop
import Glibc
import OpenSSL
import TestSupport
import Testing

@testable import Transport

/// A TLS server with `NAME.pem` and `NAME.key` of `certificates`, and a client that believes as told.
func withTLS(
    _ certificates: Certificates,
    _ name: String = "server",
    trust: TLSTrust,
    _ body: (HTTPClient, SocketAddress) async throws -> Void
) async throws {
    var configuration = HTTPServerConfiguration()
    configuration.tls = try TLSIdentity(
        certificateFile: certificates.file("\(name).pem"),
        keyFile: certificates.file("\(name).key")
    )
    var client = HTTPClientConfiguration()
    client.trust = trust
    let fixed = client
    try await withServer(configuration: configuration, handler: TLSTests.handler) { _, loop, address in
        let client = HTTPClient(loop: loop, configuration: fixed)
        try await body(client, address)
        await client.close()
    }
}

/// Expects the status that `request` is answered with.
func expect(
    _ expected: Int,
    of client: HTTPClient,
    _ request: HTTPClientRequest,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let answer = try await client.fetch(request)
    #expect(answer.status == expected, sourceLocation: sourceLocation)
}

func expect(
    _ expected: Int,
    of client: HTTPClient,
    _ url: String,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    try await expect(expected, of: client, .init(.get, HTTPURL(url)), sourceLocation: sourceLocation)
}

/// What a request to `url` fails with.
func failure(of client: HTTPClient, _ url: String) async throws -> BerthError {
    do {
        let answer = try await client.fetch(.init(.get, HTTPURL(url)))
        Issue.record("\(url) answered \(answer.status)")
        return BerthError(.internal, "")
    } catch let error as BerthError {
        return error
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
        if request.path == "/upload" {
            var count = 0
            for try await piece in request.body { count += piece.count }
            return .text("\(count)")
        }
        return .text("\(request.isSecure)")
    }

    @Test(arguments: Certificates.Kind.allCases)
    func `a client that trusts the authority speaks TLS, also in bulk and by WebSocket`(_ kind: Certificates.Kind)
        async throws
    {
        let certificates = try await Certificates.made(kind)
        try await withTLS(certificates, trust: .authorities(file: certificates.file("ca.pem"))) { client, address in
            let port = address.port
            for host in ["localhost", "127.0.0.1", "LOCALHOST"] {
                let answer = try await client.fetch(.init(.get, HTTPURL("https://\(host):\(port)/")))
                #expect(answer.body == Array("true".utf8))
            }
            let large = try await client.fetch(.init(.get, HTTPURL("https://localhost:\(port)/large")))
            #expect(large.body == [UInt8](repeating: 0x62, count: 64 * 65536))
            let sent = [UInt8](repeating: 7, count: 3_000_001)
            let upload = try HTTPClientRequest(.post, HTTPURL("https://localhost:\(port)/upload"), body: .bytes(sent))
            let counted = try await client.fetch(upload)
            #expect(counted.body == Array("3000001".utf8))
            let socket = try await client.webSocket(HTTPURL("wss://localhost:\(port)/"))
            let bytes = [UInt8](repeating: 9, count: 1_000_000)
            try await socket.send(binary: bytes)
            #expect(try await socket.receive() == .binary(bytes))
            socket.close()
        }
    }

    @Test func `a chain file brings the authorities between`() async throws {
        let certificates = try await Certificates.made()
        try await certificates.authority("between", by: "ca")
        try await certificates.server("chained", by: "between")
        let own = try await check(["cat", certificates.file("chained.pem"), certificates.file("between.pem")])
        let trust = TLSTrust.authorities(file: certificates.file("ca.pem"))
        try await withTLS(certificates, "chained", trust: trust) { client, address in
            let error = try await failure(of: client, "https://localhost:\(address.port)/")
            #expect(error.message.contains("comes from 'between', an authority not trusted here"))
        }
        try certificates.directory.write(own, to: "chained.pem")
        try await withTLS(certificates, "chained", trust: trust) { client, address in
            try await expect(200, of: client, "https://localhost:\(address.port)/")
        }
    }

    @Test func `a refused certificate is refused with its reason and the way out`() async throws {
        let certificates = try await Certificates.made()
        try await certificates.authority("stranger")
        try await certificates.server("expired", by: "ca", valid: -30 ... -20)
        try await certificates.server("future", by: "ca", valid: 3...9)
        try await certificates.server("elsewhere", by: "ca", names: "DNS:far.example,IP:192.0.2.1")
        try await certificates.server("unknown", by: "stranger")
        try await certificates.server("alone", by: nil)
        let trust = TLSTrust.authorities(file: certificates.file("ca.pem"))
        let cases: [(name: String, host: String, says: String, remedy: String)] = [
            ("expired", "localhost", "the certificate of 'localhost' expired on 20", "must renew it"),
            ("expired", "localhost", "(20 days ago)", "clock"),
            ("future", "localhost", "the certificate of 'localhost' is valid only from 20", "clock"),
            ("elsewhere", "localhost", "is for 'far.example', '192.0.2.1', not for 'localhost'", "subjectAltName"),
            ("elsewhere", "127.0.0.1", "not for '127.0.0.1'", "subjectAltName"),
            ("unknown", "localhost", "comes from 'stranger', an authority not trusted here", "caFile"),
            ("alone", "localhost", "is self-signed and not among those trusted here", "sha256/"),
        ]
        for entry in cases {
            try await withTLS(certificates, entry.name, trust: trust) { client, address in
                let error = try await failure(of: client, "https://\(entry.host):\(address.port)/")
                #expect(error.code == .certificate, "\(entry)")
                #expect(!error.isRetryable)
                #expect(error.message.contains(entry.says), "\(error)")
                #expect(error.remedy?.contains(entry.remedy) == true, "\(error)")
            }
        }
        try await withTLS(certificates, "unknown", trust: .system) { client, address in
            let error = try await failure(of: client, "https://localhost:\(address.port)/")
            #expect(error.code == .certificate)
        }
    }

    @Test func `a pinned key needs no authority, name or date, and admits no other key`() async throws {
        let certificates = try await Certificates.made()
        try await certificates.server("old", by: nil, names: "DNS:far.example", valid: -30 ... -20)
        let pin = try await certificates.pin(of: "old")
        let other = try await certificates.pin(of: "server")
        try await withTLS(certificates, "old", trust: .keys([other, pin])) { client, address in
            try await expect(200, of: client, "https://localhost:\(address.port)/")
        }
        try await withTLS(certificates, "old", trust: .keys([other])) { client, address in
            let error = try await failure(of: client, "https://localhost:\(address.port)/")
            #expect(error.message == "'localhost' has another key than the one pinned: \(pin)")
            #expect(error.code == .certificate)
        }
    }

    @Test func `pins are read as they are written, and nothing else is`() throws {
        let text = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        #expect(try KeyPin(text).description == text)
        #expect(try KeyPin("sha256//" + text.dropFirst(7)) == KeyPin(text))
        #expect(try KeyPin.list("\(text), \(text)").count == 2)
        let slashed = "sha256//dHOEXsxjMrag9eNA0JiweYCv4XCdExcmjoG0scQv3Y="
        #expect(try KeyPin(slashed).description == slashed)
        for wrong in ["", "sha256/", "sha1/\(text.dropFirst(7))", "sha256/AAAA", String(text.dropLast(4)), "x \(text)"]
        {
            #expect(throws: BerthError.self, "\(wrong)") { try KeyPin.list(wrong) }
        }
    }

    @Test func `authorities that are not there are an error that names them`() async throws {
        try await withLoop { loop in
            var configuration = HTTPClientConfiguration()
            configuration.trust = .authorities(file: "/no/such/file.pem")
            let server = try #require(SocketAddress(numericHost: "127.0.0.1", port: 0))
            let listener = try await loop.run {
                try ListeningSocket(tcp: server, loop: loop) { descriptor, _ in close(descriptor) }
            }
            let client = HTTPClient(loop: loop, configuration: configuration)
            let error = try await failure(of: client, "https://localhost:\(listener.address.port)/")
            #expect(error.message.contains("'/no/such/file.pem'"))
            try await loop.run { listener.close() }
        }
    }

    @Test func `a request without TLS gets a plain answer that says so`() async throws {
        let certificates = try await Certificates.made()
        try await withTLS(certificates, trust: .system) { client, address in
            let peer = try await RawPeer.connect(address, on: client.loop)
            try await peer.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            let text = try await peer.receiveAll()
            #expect(text.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            #expect(text.hasSuffix("this port speaks TLS: use https:// or wss://\n"))
            let answer = try await HTTPClient(loop: client.loop).fetch(.init(.get, address.url()))
            #expect(answer.status == 400)
        }
    }

    @Test func `a handshake that fails is counted among the faults of clients, a connection without one is not`()
        async throws
    {
        let certificates = try await Certificates.made()
        var configuration = HTTPServerConfiguration()
        configuration.tls = try TLSIdentity(
            certificateFile: certificates.file("server.pem"),
            keyFile: certificates.file("server.key")
        )
        try await withServer(configuration: configuration, handler: Self.handler) { server, loop, address in
            let silent = try await RawPeer.connect(address, on: loop)
            try await silent.close()
            let stranger = HTTPClient(loop: loop)
            _ = try await failure(of: stranger, "https://localhost:\(address.port)/")
            let wild = try await RawPeer.connect(address, on: loop)
            try await wild.send([0x16, 3, 1, 0, 5, 9, 9, 9, 9, 9])
            _ = try await wild.receiveAll()
            let plain = try await RawPeer.connect(address, on: loop)
            try await plain.send("GET / HTTP/1.1\r\n\r\n")
            _ = try await plain.receiveAll()
            #expect(server.count(of: .failedHandshake) == 2)
            #expect(server.count(of: .plainOnTLS) == 1)
        }
    }

    @Test func `a server without TLS is told apart from one that is not trusted`() async throws {
        try await withServer(handler: Self.handler) { _, loop, address in
            let error = try await failure(of: HTTPClient(loop: loop), "https://localhost:\(address.port)/")
            #expect(error.message == "'localhost' does not speak TLS on this port")
        }
    }

    @Test func `a handshake that does not go on ends at the deadline of a head`() async throws {
        let certificates = try await Certificates.made()
        var configuration = HTTPServerConfiguration()
        configuration.headTimeout = .milliseconds(200)
        configuration.tls = try TLSIdentity(
            certificateFile: certificates.file("server.pem"),
            keyFile: certificates.file("server.key")
        )
        try await withServer(configuration: configuration, handler: Self.handler) { server, loop, address in
            for beginning in [[], [0x16], [0x16, 3, 1, 0, 200, 1]] as [[UInt8]] {
                let peer = try await RawPeer.connect(address, on: loop)
                try await peer.send(beginning)
                #expect(try await peer.receiveAll() == "")
            }
            #expect(server.connectionCount == 0)
        }
    }
}
