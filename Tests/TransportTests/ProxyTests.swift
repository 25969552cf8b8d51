import Base
import EventLoop
import OpenSSL
import Synchronization
import Testing

@testable import Transport

/// The simplest proxy: tunnels what CONNECT asks for, whatever the name, to one place.
final class TunnelPeer: SocketDelegate, @unchecked Sendable {
    private let near: Socket
    private var far: Socket?
    private let loop: EventLoop
    private let target: SocketAddress
    private var head: [UInt8] = []

    static func listen(_ loop: EventLoop, to target: SocketAddress, heads: Heads) async throws -> SocketAddress {
        let any = try #require(SocketAddress(numericHost: "127.0.0.1", port: 0))
        return try await loop.run {
            try ListeningSocket(tcp: any, loop: loop) { descriptor, _ in
                if let socket = try? Socket(adopting: descriptor, loop: loop) {
                    socket.delegate = TunnelPeer(socket, to: target, heads: heads)
                    socket.resumeReading()
                }
            }.address
        }
    }

    final class Heads: Sendable {
        let all = Mutex<[String]>([])
    }

    private let seen: Heads

    private init(_ near: Socket, to target: SocketAddress, heads: Heads) {
        self.near = near
        loop = near.loop
        self.target = target
        seen = heads
    }

    func socketReceived(_ bytes: UnsafeRawBufferPointer) {
        if let far { return far.write(bytes) }
        head.append(contentsOf: bytes)
        guard String(decoding: head, as: UTF8.self).hasSuffix("\r\n\r\n") else { return }
        seen.all.withLock { $0.append(String(decoding: head, as: UTF8.self)) }
        loop.spawn { [self] in
            guard let socket = try? await Socket.connect(to: target, loop: loop) else { return near.close() }
            far = socket
            socket.delegate = Back(near)
            socket.resumeReading()
            Array("HTTP/1.1 200 Connection established\r\n\r\n".utf8).withUnsafeBytes { near.write($0) }
        }
    }
    func socketInputEnded() { near.close() }
    func socketClosed(_ error: BerthError?) { far?.close() }

    private final class Back: SocketDelegate {
        let near: Socket
        init(_ near: Socket) { self.near = near }
        func socketReceived(_ bytes: UnsafeRawBufferPointer) { near.write(bytes) }
        func socketInputEnded() { near.closeAfterFlush() }
        func socketClosed(_ error: BerthError?) { near.closeAfterFlush() }
    }
}

@Suite struct ProxyTests {
    @Test func `https goes through a tunnel and is still verified end to end`() async throws {
        let certificates = try await Certificates.made()
        var server = HTTPServerConfiguration()
        server.tls = try TLSIdentity(
            certificateFile: certificates.file("server.pem"),
            keyFile: certificates.file("server.key")
        )
        try await withServer(configuration: server, handler: { _ in .text("inside") }) { _, loop, address in
            let heads = TunnelPeer.Heads()
            let proxy = try await TunnelPeer.listen(loop, to: address, heads: heads)
            var configuration = HTTPClientConfiguration()
            configuration.trust = .keys([try await certificates.pin(of: "server")])
            configuration.proxy = HTTPProxy(environment: ["HTTPS_PROXY": "http://me:p%40ss@\(proxy)"])
            let client = HTTPClient(loop: loop, configuration: configuration)
            let answer = try await client.fetch(.init(.get, HTTPURL("https://far.example/")))
            #expect(answer.body == Array("inside".utf8))
            let head = try #require(heads.all.withLock { $0.first })
            #expect(head.hasPrefix("CONNECT far.example:443 HTTP/1.1\r\nhost: far.example:443\r\n"))
            #expect(head.contains("proxy-authorization: Basic bWU6cEBzcw==\r\n"))
        }
    }

    @Test func `http goes to the proxy with its whole URL`() async throws {
        let handler: HTTPHandler = { .text("\($0.headers["host"] ?? "") \($0.path)") }
        try await withServer(handler: handler) { _, loop, address in
            var configuration = HTTPClientConfiguration()
            configuration.proxy = HTTPProxy(
                environment: ["http_proxy": "\(address)", "no_proxy": "direct.invalid, .inside"]
            )
            let client = HTTPClient(loop: loop, configuration: configuration)
            let answer = try await client.fetch(.init(.get, HTTPURL("http://far.example:81/a?b")))
            #expect(String(decoding: answer.body, as: UTF8.self) == "far.example:81 /a")
            for host in ["direct.invalid", "x.inside"] {
                await #expect(throws: BerthError.self) {
                    try await client.fetch(.init(.get, HTTPURL("http://\(host)/")))
                }
            }
            let loopback = try await client.fetch(.init(.get, address.url("/self")))
            #expect(String(decoding: loopback.body, as: UTF8.self) == "\(address) /self")
        }
    }

    @Test func `no variables mean no proxy, and an unusable one is an error only where it would be used`() throws {
        #expect(HTTPProxy(environment: ["no_proxy": "x", "https_proxy": ""]) == nil)
        #expect(HTTPProxy(environment: ["HTTP_PROXY": "http://h:1", "REQUEST_METHOD": "GET"]) == nil)
        #expect(HTTPProxy(environment: ["HTTP_PROXY": "http://h:1"]) != nil)
        let proxy = try #require(HTTPProxy(environment: ["all_proxy": "socks5://me:secret@h:1", "no_proxy": "near"]))
        for (host, isDirect) in [("near", true), ("127.0.0.1", true), ("far", false)] {
            let endpoint = HTTPEndpoint.tcp(host: host, port: 443, secure: true)
            if isDirect {
                _ = try proxy.route(to: endpoint)
            } else {
                #expect {
                    _ = try proxy.route(to: endpoint)
                } throws: {
                    "\($0)".contains("all_proxy") && !"\($0)".contains("secret")
                }
            }
        }
    }

    @Test func `no_proxy knows names, addresses, networks and ports`() {
        let exceptions = ProxyExceptions(
            "a.example, .b.example,*.c.example 10.0.0.0/8,192.168.1.128/25,fd00::/8,203.0.113.9,d.example:8443,[::9]:81,1.2.3/8"
        )
        let inside = [
            ("a.example", 80), ("x.a.example", 80), ("A.Example.", 80), ("b.example", 1), ("y.b.example", 1),
            ("z.c.example", 1), ("10.255.0.1", 1), ("192.168.1.129", 1), ("fd12::1", 1), ("203.0.113.9", 1),
            ("d.example", 8443), ("::9", 81), ("localhost", 1), ("x.localhost", 1), ("127.8.8.8", 1), ("::1", 1),
        ]
        for (host, port) in inside { #expect(exceptions.contain(host: host, port: port), "\(host):\(port)") }
        let outside = [
            ("xa.example", 80), ("example", 80), ("11.0.0.1", 1), ("192.168.1.127", 1), ("fe00::1", 1),
            ("d.example", 443), ("::9", 80), ("1.2.3.4", 1),
        ]
        for (host, port) in outside { #expect(!exceptions.contain(host: host, port: port), "\(host):\(port)") }
        #expect(ProxyExceptions("*").contain(host: "anything", port: 1))
    }
}
