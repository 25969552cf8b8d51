import Base
import EventLoop
import OpenSSL
import TestSupport
import Testing

@testable import Transport

/// WebSockets that are given away, also to another loop than the one that accepted them.
@Suite struct HandOverTests {
    /// Sends every message back in the call that brings it, on the loop that it was given to.
    private final class Echo: WebSocketSink {
        private let socket: WebSocket

        init(_ socket: WebSocket) { self.socket = socket }

        func webSocketReceived(binary bytes: UnsafeRawBufferPointer) -> Bool { socket.put(binary: bytes) }
        func webSocketReceived(text: String) -> Bool { socket.put(text: text) }
        func webSocketProgressed() {}
        func webSocketEnded(_ end: WebSocket.End) {}
    }

    private static func with(
        tls: TLSIdentity? = nil,
        _ body: (EventLoop, HTTPServer, Int) async throws -> Void
    ) async throws {
        let loops = try (0..<3).map { try EventLoop(name: "loop\($0)") }
        let own = try EventLoop(name: "own")
        for loop in loops + [own] { loop.start() }
        defer { for loop in loops + [own] { loop.stop() } }
        var configuration = HTTPServerConfiguration()
        configuration.tls = tls
        let ids = IDSource(time: own.time, randomness: SystemRandomness())
        let target = loops[1]
        let server = HTTPServer(
            loops: loops,
            configuration: configuration,
            ids: ids,
            log: Log(sink: SilentSink(), time: own.time)
        ) { _ in
            HTTPResponse(
                status: 101,
                body: .webSocketHandOver(to: target) { socket in
                    target.preconditionCurrent()
                    socket.deliver(to: Echo(socket))
                }
            )
        }
        let address = try await server.listen(on: .tcp(host: "127.0.0.1", port: 0))
        try await body(own, server, address.port)
        await server.shutdown(drainingFor: .seconds(5))
        #expect(server.connectionCount == 0)
    }

    private static func exchange(_ client: HTTPClient, _ url: String) async throws {
        // Enough connections for each of the loops to accept some.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<24 {
                group.addTask {
                    let socket = try await client.webSocket(HTTPURL(url))
                    for size in [0, 5, 70_000, 300_000] {
                        let message = [UInt8](repeating: UInt8(number), count: size)
                        try await socket.send(binary: message)
                        #expect(try await socket.receive() == .binary(message))
                    }
                    try await socket.send(text: "text \(number)")
                    #expect(try await socket.receive() == .text("text \(number)"))
                    socket.close()
                    _ = try await socket.ended()
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func `a WebSocket moves to the loop that it is handed to`() async throws {
        try await Self.with { loop, _, port in
            try await Self.exchange(HTTPClient(loop: loop), "ws://127.0.0.1:\(port)/")
        }
    }

    @Test func `so does one under TLS`() async throws {
        let folder = try TemporaryDirectory("handover")
        let (certificate, key) = (folder.file("certificate.pem"), folder.file("key.pem"))
        try await check([
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
        ])
        let identity = try TLSIdentity(certificateFile: certificate, keyFile: key)
        try await Self.with(tls: identity) { loop, _, port in
            var configuration = HTTPClientConfiguration()
            configuration.trust = .authorities(file: certificate)
            let client = HTTPClient(loop: loop, configuration: configuration)
            try await Self.exchange(client, "wss://127.0.0.1:\(port)/")
        }
    }

    @Test func `a server that shuts down closes those that it has given away`() async throws {
        try await Self.with { loop, server, port in
            let client = HTTPClient(loop: loop)
            var sockets: [WebSocket] = []
            for _ in 0..<8 { sockets.append(try await client.webSocket(HTTPURL("ws://127.0.0.1:\(port)/"))) }
            #expect(server.connectionCount == 8)
            await server.shutdown(drainingFor: .seconds(5))
            for socket in sockets {
                guard case .closed(.goingAway?, _) = try await socket.ended() else {
                    Issue.record("it was not closed in order")
                    continue
                }
            }
        }
    }
}
