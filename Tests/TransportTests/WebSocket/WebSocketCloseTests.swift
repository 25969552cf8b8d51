import Base
import EventLoop
import Testing

@testable import Transport

/// How connections end (RFC 6455, section 7), each side against bytes that a test chose.
@Suite struct WebSocketCloseTests {
    /// A server whose handler is `run`; the test plays the client with `frames` behind the handshake and sees what came.
    private func answer(
        to frames: [[UInt8]],
        _ run: @escaping @Sendable (WebSocket) async throws -> Void = { while try await $0.receive() != nil {} },
        whenSent: (RawPeer) async throws -> Void = { _ in }
    ) async throws -> (frames: [(first: UInt8, payload: [UInt8])], end: WebSocket.End?) {
        let ends = Ends()
        let handler: HTTPHandler = { _ in
            HTTPResponse(
                body: .webSocket(subprotocol: nil) { socket in
                    defer { ends.add(socket) }
                    try await run(socket)
                }
            )
        }
        var result: (frames: [(first: UInt8, payload: [UInt8])], end: WebSocket.End?) = ([], nil)
        try await withServer(handler: handler) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send(Array(RawFrame.handshake.utf8) + frames.flatMap { $0 })
            try await whenSent(peer)
            let bytes = try await peer.receiveBytes()
            let end = try await ends.next()
            result = (RawFrame.frames(bytes), end)
        }
        return result
    }

    @Test(arguments: [1000, 1001, 1003, 1011, 1014, 3000, 4999] as [UInt16])
    func `a close is answered with its own code, and the server ends the connection`(code: UInt16) async throws {
        let (frames, end) = try await answer(to: [RawFrame.close(code, Array("grüß".utf8))])
        #expect(frames.count == 1 && frames.first?.first == 0x88)
        #expect(frames.first?.payload == [UInt8(code >> 8), UInt8(code & 0xFF)])
        guard case .closed(let seen?, "grüß") = end else { return #expect(Bool(false), "\(String(describing: end))") }
        #expect(seen.rawValue == code)
    }

    @Test func `a close without a code is answered without one`() async throws {
        let (frames, end) = try await answer(to: [RawFrame.make(0x88)])
        #expect(frames.count == 1 && frames.first?.payload == [])
        guard case .closed(nil, "") = end else { return #expect(Bool(false), "\(String(describing: end))") }
    }

    @Test func `what follows a close is ignored`() async throws {
        let (frames, end) = try await answer(
            to: [RawFrame.close(1000), RawFrame.text("late"), RawFrame.make(0x89, [1]), [0xFF, 0xFF]]
        ) { socket in
            let message = try await socket.receive()
            #expect(message == nil)
        }
        #expect(frames.count == 1)
        guard case .closed(.normal, _) = end else { return #expect(Bool(false), "\(String(describing: end))") }
    }

    @Test func `messages before a close are still received`() async throws {
        let (_, end) = try await answer(to: [RawFrame.text("a"), RawFrame.text("b"), RawFrame.close(1000)]) { socket in
            _ = try await socket.ended()
            #expect(try await socket.receive() == .text("a"))
            #expect(try await socket.receive() == .text("b"))
            #expect(try await socket.receive() == nil)
        }
        guard case .closed(.normal, _) = end else { return #expect(Bool(false), "\(String(describing: end))") }
    }

    @Test func `a close in the middle of a message gives the message up`() async throws {
        let (frames, _) = try await answer(to: [RawFrame.make(0x01, [0x61]), RawFrame.close(1001)]) { socket in
            let message = try await socket.receive()
            #expect(message == nil)
        }
        #expect(frames.map { RawFrame.code($0.payload) } == [1001])
    }

    @Test func `both sides may close at once`() async throws {
        let (frames, end) = try await answer(to: [RawFrame.make(0x89), RawFrame.close(3001)]) { socket in
            socket.close(code: .init(rawValue: 4002), reason: "done")
        }
        // The peer's close is the answer to ours, whatever it meant; there is no second one.
        let closes = frames.filter { $0.first == 0x88 }
        #expect(closes.count == 1)
        guard case .closed = end else { return #expect(Bool(false), "\(String(describing: end))") }
    }

    @Test(
        arguments: [
            (nil, "lost", []),
            (WebSocketCloseCode(rawValue: 1005), "x", [0x03, 0xF3, 0x78]),
            (WebSocketCloseCode(rawValue: 1006), "", [0x03, 0xF3]),
            (WebSocketCloseCode(rawValue: 1015), "", [0x03, 0xF3]),
            (.serviceRestart, "", [0x03, 0xF4]),
            (
                .normal, String(repeating: "ß", count: 200),
                [0x03, 0xE8] + Array(String(repeating: "ß", count: 61).utf8)
            ),
            (.normal, String(repeating: "*", count: 124), [0x03, 0xE8] + [UInt8](repeating: 0x2A, count: 123)),
            (.normal, "😀", [0x03, 0xE8] + Array("😀".utf8)),
        ] as [(WebSocketCloseCode?, String, [UInt8])]
    )
    func `only what has a place on the wire is sent`(code: WebSocketCloseCode?, reason: String, payload: [UInt8])
        async throws
    {
        let (frames, _) = try await answer(to: []) {
            $0.close(code: code, reason: reason)
        } whenSent: { peer in
            _ = try await peer.receive(frames: 1)
            try await peer.send(RawFrame.close(1000))
        }
        #expect(frames.first?.first == 0x88)
        #expect(frames.first?.payload == payload)
    }

    @Test func `after our close what still comes is dropped, however much`() async throws {
        let flood = [UInt8](repeating: 7, count: 60_000)
        let (frames, end) = try await answer(
            to: [RawFrame.text("go")] + (0..<50).map { _ in RawFrame.make(0x82, flood) } + [RawFrame.close(1000)]
        ) { socket in
            _ = try await socket.receive()
            socket.close(code: .goingAway)
            _ = try await socket.ended()
        }
        #expect(frames.map { RawFrame.code($0.payload) } == [1001])
        guard case .closed(.normal, _) = end else { return #expect(Bool(false), "\(String(describing: end))") }
    }

    @Test func `a peer that does not answer a close is left alone after a while`() async throws {
        let ends = Ends()
        var configuration = HTTPServerConfiguration()
        configuration.webSocket.closeTimeout = .milliseconds(50)
        let handler: HTTPHandler = { _ in
            HTTPResponse(body: .webSocket(subprotocol: nil) { ends.add($0) })
        }
        try await withServer(configuration: configuration, handler: handler) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send(RawFrame.handshake)
            _ = try await peer.receiveBytes()
            guard case .failed(let error) = try await ends.next() else { return #expect(Bool(false)) }
            #expect(error.code == .timedOut)
        }
    }

    @Test func `a connection that breaks off is not taken for closed`() async throws {
        let (_, end) = try await answer(to: [RawFrame.text("a")]) { socket in
            _ = try await socket.receive()
            await #expect(throws: BerthError.self) { while try await socket.receive() != nil {} }
        } whenSent: {
            _ = try await $0.receive(until: "\r\n\r\n")
            try await $0.close()
        }
        guard case .failed(let error) = end else { return #expect(Bool(false), "\(String(describing: end))") }
        #expect(error.code == .network)
    }

    @Test func `a client leaves the end of the connection to the server`() async throws {
        try await withRawServer { socket, peer in
            try await peer.send(RawFrame.make(0x88, [0x03, 0xE8], mask: nil))
            #expect(try await socket.receive() == nil)
            guard case .closed(.normal, "") = try await socket.ended() else { return #expect(Bool(false)) }
            let frames = try await peer.receive(frames: 1)
            #expect(frames.map(\.first) == [0x88] && frames.first?.payload == [0x03, 0xE8])
            #expect(try await !peer.hasEnded())
            try await peer.close()
        }
    }

    @Test func `a client whose server never ends the connection ends it itself`() async throws {
        var configuration = WebSocketConfiguration()
        configuration.closeTimeout = .milliseconds(50)
        try await withRawServer(configuration: configuration) { socket, peer in
            socket.close(code: .init(rawValue: 3000))
            _ = try await peer.receive(frames: 1)
            try await peer.send(RawFrame.make(0x88, [0x0B, 0xB8], mask: nil))
            guard case .closed(let code?, _) = try await socket.ended() else { return #expect(Bool(false)) }
            #expect(code.rawValue == 3000)
            _ = try await peer.receiveBytes()
        }
    }

    @Test(
        arguments: [
            (RawFrame.make(0x81, [0x61]), 1002),  // masked
            (RawFrame.make(0xC1, mask: nil), 1002),  // compressed, though the server declined
            (RawFrame.make(0x81, [0xC3, 0x28], mask: nil), 1007),
            ([0x82, 0x7F, 0, 0, 0, 0x10, 0, 0, 0, 0], 1009),
            (RawFrame.make(0x88, [0x03, 0xED], mask: nil), 1002),
        ] as [([UInt8], UInt16)]
    )
    func `a client tells its server what was wrong`(frame: [UInt8], code: UInt16) async throws {
        try await withRawServer { socket, peer in
            try await peer.send(frame)
            await #expect(throws: BerthError.self) { _ = try await socket.receive() }
            let frames = try await peer.receive(frames: 1)
            #expect(frames.map { RawFrame.code($0.payload) } == [code])
        }
    }
}
