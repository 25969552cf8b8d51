import Base
import EventLoop
import Testing

@testable import Transport

@Suite struct WebSocketTests {
    static let echo: HTTPHandler = { _ in
        HTTPResponse(
            body: .webSocket(subprotocol: nil) { socket in
                while let message = try await socket.receive() {
                    switch message {
                    case .text(let text): try await socket.send(text: text)
                    case .binary(let bytes): try await socket.send(binary: bytes)
                    }
                }
            }
        )
    }

    @Test func `messages of every length class come back as they were`() async throws {
        try await withServer(handler: Self.echo) { _, loop, address in
            let socket = try await HTTPClient(loop: loop).webSocket(address.url())
            for length in [0, 1, 3, 125, 126, 127, 65535, 65536, 1_000_003] {
                let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ length) }
                try await socket.send(binary: bytes)
                #expect(try await socket.receive() == .binary(bytes))
            }
            try await socket.send(text: "grüß dich, 世界")
            #expect(try await socket.receive() == .text("grüß dich, 世界"))
            socket.close(code: .normal, reason: "done")
            #expect(try await socket.receive() == nil)
            await #expect(throws: BerthError.self) { try await socket.send(text: "late") }
        }
    }

    @Test func `a sender waits for a receiver that does not receive`() async throws {
        let sent = Counter()
        let handler: HTTPHandler = { _ in
            HTTPResponse(
                body: .webSocket(subprotocol: nil) { socket in
                    for _ in 0..<400 {
                        try await socket.send(binary: [UInt8](repeating: 7, count: 65536))
                        sent.add(1)
                    }
                }
            )
        }
        try await withServer(handler: handler) { _, loop, address in
            let socket = try await HTTPClient(loop: loop).webSocket(address.url())
            var last = -1
            while sent.value != last {
                last = sent.value
                try await loop.time.wait(for: .milliseconds(100))
            }
            #expect(last < 300)
            var count = 0
            while try await socket.receive() != nil { count += 1 }
            #expect(count == 400)
        }
    }

    @Test func `a silent peer is given up after a ping`() async throws {
        var configuration = HTTPServerConfiguration()
        configuration.webSocket.pingInterval = .milliseconds(50)
        configuration.webSocket.pongTimeout = .milliseconds(1500)
        try await withLoop { loop in
            let (ends, continuation) = AsyncStream.makeStream(of: ErrorCode.self)
            let server = HTTPServer([loop], configuration: configuration) { _ in
                HTTPResponse(
                    body: .webSocket(subprotocol: nil) { socket in
                        do {
                            while try await socket.receive() != nil {}
                        } catch {
                            continuation.yield(BerthError(wrapping: error).code)
                        }
                    }
                )
            }
            let address = try await server.listen(on: .tcp(host: "127.0.0.1", port: 0))
            // A client of ours answers and so stays; a raw one does not.
            let living = try await HTTPClient(loop: loop).webSocket(address.url())
            let dead = try await RawPeer.connect(address, on: loop)
            try await dead.send(Self.handshake)
            #expect(
                try await dead.receive(until: "\r\n\r\n").contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            )
            var iterator = ends.makeAsyncIterator()
            #expect(await iterator.next() == .timedOut)
            #expect(await living.end() == nil)
            await server.shutdown(drainingFor: .seconds(1))
            #expect(try await living.receive() == nil)
        }
    }

    static let handshake =
        "GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: keep-alive, Upgrade\r\n"
        + "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"

    @Test(
        arguments: [
            ([0x81, 0x01, 0x61], 1002),  // not masked
            ([0xC1, 0x80, 0, 0, 0, 0], 1002),  // a reserved bit
            ([0x83, 0x80, 0, 0, 0, 0], 1002),  // an unknown opcode
            ([0x80, 0x80, 0, 0, 0, 0], 1002),  // a continuation of nothing
            ([0x09, 0x80, 0, 0, 0, 0], 1002),  // a fragmented ping
            ([0x89, 0xFE, 0, 126, 0, 0, 0, 0], 1002),  // a long ping
            ([0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28], 1007),  // not UTF-8
            ([0x82, 0xFE, 0, 5, 0, 0, 0, 0], 1002),  // a length that is not minimal
            ([0x82, 0xFF, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0], 1009),  // 64 GiB announced
            ([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xED], 1002),  // close with 1005
            ([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE9], 1001),  // a good close is answered alike
        ] as [([UInt8], UInt16)]
    )
    func `a frame against the rules closes with its code`(frame: [UInt8], code: UInt16) async throws {
        try await withServer(handler: Self.echo) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send(Array(Self.handshake.utf8) + frame)
            let bytes = try await peer.receiveBytes()
            let end = try #require(bytes.ranges(of: Array("\r\n\r\n".utf8)).first?.upperBound)
            let answer = Array(bytes[end...])
            #expect(answer.count >= 4 && answer[0] == 0x88)
            #expect(UInt16(answer[2]) << 8 | UInt16(answer[3]) == code)
        }
    }

    @Test func `a parser makes the same events of any split of the bytes`() throws {
        var bytes: [UInt8] = []
        func frame(_ first: UInt8, _ payload: [UInt8], mask: UInt32) {
            var header: [UInt8] = []
            WebSocketEncoder.appendHeader(.binary, length: payload.count, mask: mask, to: &header)
            header[0] = first
            var masked = payload
            masked.withUnsafeMutableBytes { WebSocketMask.apply(mask, offset: 0, to: $0) }
            bytes += header + masked
        }
        let long = (0..<70_000).map { UInt8(truncatingIfNeeded: $0) }
        frame(0x01, Array("frag".utf8), mask: 0x1234_5678)
        frame(0x89, Array("ping".utf8), mask: 0xFFEE_DDCC)
        frame(0x00, Array("men".utf8), mask: 0x0102_0304)
        frame(0x80, Array("ted".utf8), mask: 0xA0B0_C0D0)
        frame(0x82, long, mask: 0xDEAD_BEEF)
        frame(0x88, [0x03, 0xE8], mask: 7)
        let expected: [WebSocketParser.Event] = [
            .ping(Array("ping".utf8)), .text("fragmented"), .binary(long), .close(.normal, reason: ""),
        ]
        for size in [1, 2, 3, 7, 64, 1021, 65536, bytes.count] {
            var parser = WebSocketParser(role: .server, maximumMessageBytes: 100_000)
            var events: [WebSocketParser.Event] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                try bytes[start..<min(start + size, bytes.count)].withUnsafeBytes { piece in
                    var piece = piece
                    while let event = try parser.next(&piece) { events.append(event) }
                }
            }
            #expect(events == expected, "pieces of \(size)")
        }
    }

    @Test func `a plain request to a WebSocket address is told to upgrade`() async throws {
        try await withServer(handler: Self.echo) { _, loop, address in
            let answer = try await HTTPClient(loop: loop).fetch(HTTPClientRequest(.get, address.url()))
            #expect(answer.status == 426)
            #expect(answer.headers["upgrade"] == "websocket")
        }
    }

    @Test func `a handler may refuse the handshake`() async throws {
        try await withServer(handler: { _ in throw BerthError(.unauthenticated, "no token") }) { _, loop, address in
            await #expect { () async throws in
                _ = try await HTTPClient(loop: loop).webSocket(address.url(), headers: ["authorization": "Bearer x"])
            } throws: {
                ($0 as? BerthError)?.code == .unauthenticated
            }
        }
    }
}
