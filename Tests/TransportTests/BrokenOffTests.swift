import Base
import EventLoop
import TestSupport
import Testing

@testable import Transport

/// Clients that shut their side, or vanish, in every phase of a request.
@Suite struct BrokenOffTests {
    enum Phase: String, CaseIterable {
        case connected, inHead, inBody, atHandler, inAnswer, idle, waitingToContinue, pipelined, upgraded

        var bytes: String {
            switch self {
            case .connected: ""
            case .inHead: "GET /now HTTP/1.1\r\nho"
            case .inBody: "POST /now HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc"
            case .atHandler: "GET /soon HTTP/1.1\r\nhost: x\r\n\r\n"
            case .inAnswer: "GET /stream HTTP/1.1\r\nhost: x\r\n\r\n"
            case .idle: "GET /now HTTP/1.1\r\nhost: x\r\n\r\n"
            case .waitingToContinue:
                "POST /soon HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
            case .pipelined: String(repeating: "GET /soon HTTP/1.1\r\nhost: x\r\n\r\n", count: 3)
            case .upgraded:
                "GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
                    + "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            }
        }

        /// What has come once the phase is reached.
        var sign: String? {
            switch self {
            case .inAnswer, .idle, .upgraded: "\r\n\r\n"
            default: nil
            }
        }
    }

    static let handler: HTTPHandler = { request in
        switch request.path {
        case "/ws":
            return HTTPResponse(body: .webSocket(subprotocol: nil) { while try await $0.receive() != nil {} })
        case "/stream":
            let loop = request.loop
            return HTTPResponse(
                body: .stream(length: nil) { writer in
                    for piece in 0..<10 {
                        try await writer.write("piece \(piece)\n")
                        try await loop.time.wait(for: .milliseconds(20))
                    }
                }
            )
        case "/soon": try await request.loop.time.wait(for: .milliseconds(50))
        default: break
        }
        let body = try await request.body.collect(upTo: 100)
        return .text("got \(body.count)")
    }

    static func withPhase(
        _ phase: Phase,
        _ body: (HTTPServer, EventLoop, RawSocket, String) async throws -> Void
    ) async throws {
        try await withServer(handler: handler) { server, loop, address in
            let peer = try await RawSocket.connect(address, on: loop)
            try await peer.send(phase.bytes)
            var early = ""
            if let sign = phase.sign { early = try await peer.read(until: sign) }
            #expect(try await eventually(loop) { server.connectionCount == 1 })
            try await body(server, loop, peer, early)
            #expect(try await eventually(loop) { server.connectionCount == 0 }, "\(phase)")
            let next = try await RawSocket.connect(address, on: loop)
            try await next.send(Phase.idle.bytes)
            #expect(try await next.read(until: "got 0").hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test(arguments: Phase.allCases)
    func `a reset frees the connection at once`(phase: Phase) async throws {
        try await Self.withPhase(phase) { _, _, peer, _ in await peer.reset() }
    }

    @Test(arguments: Phase.allCases)
    func `a close frees the connection`(phase: Phase) async throws {
        try await Self.withPhase(phase) { _, _, peer, _ in await peer.close() }
    }

    @Test(arguments: Phase.allCases)
    func `a client that has shut its side still gets the answer it is owed`(phase: Phase) async throws {
        try await Self.withPhase(phase) { _, _, peer, early in
            peer.halfClose()
            let text = early + (try await peer.readAll())
            switch phase {
            case .connected, .inHead: #expect(text == "")
            case .inBody: #expect(text.hasPrefix("HTTP/1.1 400 "))
            case .waitingToContinue: #expect(text.contains("HTTP/1.1 400 "))
            case .atHandler: #expect(text.hasPrefix("HTTP/1.1 200 ") && text.hasSuffix("got 0"))
            case .idle: #expect(text.ranges(of: "HTTP/1.1 200 ").count == 1)
            case .pipelined: #expect(text.ranges(of: "got 0").count == 3)
            case .inAnswer: #expect(text.contains("piece 9\n") && text.hasSuffix("0\r\n\r\n"))
            case .upgraded: #expect(text.hasPrefix("HTTP/1.1 101 "))
            }
        }
    }
}
