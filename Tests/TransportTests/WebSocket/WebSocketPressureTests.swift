import Base
import EventLoop
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// Peers that stall, flood and fall behind. Over unix sockets, whose buffers in the kernel are small.
@Suite struct WebSocketPressureTests {
    private static let block = [UInt8](repeating: 7, count: 60_000)
    private static let framed = block.count + 4

    /// A server whose handler is `run`, for the length of `body`, which gets its socket.
    private func withUnixServer(
        _ configuration: HTTPServerConfiguration = HTTPServerConfiguration(),
        _ run: @escaping @Sendable (WebSocket) async throws -> Void,
        _ body: (EventLoop, _ path: String, Handled) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("s")
        let handled = Handled()
        try await withLoop { loop in
            let server = HTTPServer([loop], configuration: configuration) { _ in
                HTTPResponse(
                    body: .webSocket(subprotocol: nil) { socket in
                        handled.socket.withLock { $0 = socket }
                        handled.ends.add(socket)
                        try await run(socket)
                    }
                )
            }
            try await server.listen(on: .unix(path: path, mode: 0o600))
            try await body(loop, path, handled)
            await server.shutdown(drainingFor: .zero)
        }
    }

    /// As ``withUnixServer``, with a raw client that has shaken hands and reads nothing more.
    private func withStalledClient(
        _ policy: SlowPeerPolicy = .wait,
        _ run: @escaping @Sendable (WebSocket) async throws -> Void,
        _ body: (RawPeer, EventLoop, Handled) async throws -> Void
    ) async throws {
        var configuration = HTTPServerConfiguration()
        configuration.webSocket.slowPeer = policy
        try await withUnixServer(configuration, run) { loop, path, handled in
            let peer = try await RawPeer.connect(.unix(path), on: loop, reading: false)
            try await peer.send(RawFrame.handshake)
            try await body(peer, loop, handled)
            try await peer.close()
        }
    }

    final class Handled: Sendable {
        let socket = Mutex<WebSocket?>(nil)
        let ends = Ends()
        let sent = Counter()

        var opened: WebSocket? { socket.withLock { $0 } }

        /// Waits until the handler's socket is as `condition` says.
        func until(_ loop: EventLoop, _ condition: @escaping @Sendable (WebSocket) -> Bool) async throws {
            try await withDeadline(.seconds(30), time: SystemTime(), what: "a state of the socket") {
                while try await !loop.run({ self.socket.withLock { $0 }.map(condition) ?? false }) {
                    try await loop.time.wait(for: .milliseconds(2))
                }
            }
        }
    }

    @Test func `a sender waits for a peer that does not read, and goes on when it does`() async throws {
        let sent = Counter()
        try await withStalledClient { socket in
            for _ in 0..<100 {
                try await socket.send(binary: Self.block)
                sent.add(1)
            }
        } _: { peer, loop, handled in
            try await handled.until(loop) { $0.isCongested }
            #expect(sent.value < 20)
            try await handled.until(loop) { $0.unsentBytes <= WebSocket.sendWindow + Self.framed }
            try await peer.resumeReading()
            let bytes = try await peer.receiveBytes { $0.count >= 100 * Self.framed }
            #expect(bytes.count >= 100 * Self.framed && sent.value == 100)
        }
    }

    @Test func `a message that was handed over counts as sent, also when the peer goes while its sender waits`()
        async throws
    {
        // The sender is not the handler, whose task ends with the connection.
        try await withStalledClient { socket in
            while try await socket.receive() != nil {}
        } _: { peer, loop, handled in
            try await handled.until(loop) { _ in true }
            let socket = try #require(handled.opened)
            async let first = socket.send(binary: [UInt8](repeating: 1, count: 8 << 20))
            try await handled.until(loop) { $0.isCongested }
            try await peer.close()
            #expect(try await first)
            await #expect(throws: BerthError.self) { try await socket.send(binary: Self.block) }
        }
    }

    @Test func `a slow reader gets everything that was sent before the close, however long it takes`() async throws {
        var configuration = HTTPServerConfiguration()
        configuration.webSocket.closeTimeout = .seconds(3)
        let blocks = 8
        try await withUnixServer(configuration) { socket in
            for _ in 0..<blocks { try await socket.send(binary: Self.block) }
        } _: { loop, path, handled in
            let peer = try await RawPeer.connect(.unix(path), on: loop, reading: false)
            try await peer.send(RawFrame.handshake)
            // Sixteen readings, a quarter of a second apart: longer than a silent peer would get.
            let start = loop.time.uptime
            while try await peer.receivedCount() < blocks * Self.framed {
                try await peer.readOnce(atMost: 32 * 1024)
                try await loop.time.wait(for: .milliseconds(250))
            }
            #expect(loop.time.uptime - start > .seconds(3))
            try await peer.resumeReading()
            let frames = try await peer.receive(frames: blocks + 1)
            #expect(frames.count == blocks + 1 && frames.last?.first == 0x88)
            try await peer.send(RawFrame.close(1000))
            guard case .closed(.normal, _) = try await handled.ends.next() else { return #expect(Bool(false)) }
            try await peer.close()
        }
    }

    @Test func `a peer that says goodbye and takes nothing is not waited for`() async throws {
        var configuration = HTTPServerConfiguration()
        configuration.webSocket.closeTimeout = .milliseconds(50)
        configuration.webSocket.writeStallLimit = nil
        let gone = Gate()
        try await withUnixServer(configuration) { socket in
            while socket.unsentBytes < 64 * 1024 { try await socket.send(binary: Self.block) }
            _ = try await socket.ended()
            let end = socket.onEnd
            socket.onEnd = {
                end?()
                gone.open()
            }
        } _: { loop, path, handled in
            let peer = try await RawPeer.connect(.unix(path), on: loop, reading: false)
            try await peer.send(RawFrame.handshake)
            try await handled.until(loop) { $0.unsentBytes >= 64 * 1024 }
            try await peer.send(RawFrame.close(1000))
            try await gone.opened()
            try await peer.close()
        }
    }

    @Test func `a client waits for a server that takes nothing, and its messages stay whole`() async throws {
        let taking = Gate()
        let taken = Counter()
        try await withUnixServer { socket in
            try await taking.opened()
            while try await socket.receive() != nil { taken.add(1) }
        } _: { loop, path, handled in
            let socket = try await HTTPClient(loop: loop).webSocket(HTTPURL("unix:\(path)"))
            let sent = Counter()
            loop.spawn {
                for _ in 0..<100 {
                    guard (try? await socket.send(binary: Self.block)) != nil else { return }
                    sent.add(1)
                }
                socket.close()
            }
            try await handled.until(loop) { $0.isPaused && socket.isCongested }
            #expect(taken.value == 0 && sent.value < 40)
            taking.open()
            _ = try await socket.ended()
            _ = try await handled.ends.next()
            #expect(taken.value == 100)
        }
    }

    @Test func `with the policy to drop, a slow peer's sender is told and never waits`() async throws {
        let whole = Counter()
        let done = Gate()
        try await withStalledClient(.drop(above: 100_000)) { socket in
            for _ in 0..<100 where try await socket.send(binary: Self.block) { whole.add(1) }
            #expect(socket.unsentBytes <= 100_000 + Self.framed)
            done.open()
            _ = try await socket.receive()
        } _: { peer, _, _ in
            try await done.opened()
            #expect(whole.value < 20)
            try await peer.resumeReading()
            let expected = whole.value
            let frames = try await peer.receive(frames: expected)
            #expect(frames.count == expected && frames.allSatisfy { $0.payload == Self.block })
        }
    }

    @Test func `with the policy to disconnect, a peer is cut that has too many bytes waiting`() async throws {
        try await withStalledClient(.disconnect(above: 100_000, after: .seconds(60))) { socket in
            while true {
                try await socket.send(binary: Self.block)
                #expect(socket.unsentBytes <= 100_000 + Self.framed)
            }
        } _: { _, _, handled in
            guard case .failed(let error) = try await handled.ends.next() else { return #expect(Bool(false)) }
            #expect(error.code == .timedOut)
        }
    }

    @Test func `with the policy to disconnect, a peer is cut that does not catch up in time`() async throws {
        try await withStalledClient(.disconnect(above: 1 << 30, after: .milliseconds(200))) { socket in
            while socket.unsentBytes < 1 << 20 { try await socket.send(binary: Self.block) }
            _ = try await socket.receive()
        } _: { _, _, handled in
            guard case .failed(let error) = try await handled.ends.next() else { return #expect(Bool(false)) }
            #expect(error.code == .timedOut)
        }
    }

    @Test func `with the policy to disconnect, a peer that keeps up stays`() async throws {
        var configuration = HTTPServerConfiguration()
        configuration.webSocket.slowPeer = .disconnect(above: 1 << 20, after: .milliseconds(100))
        try await withUnixServer(configuration) { socket in
            for _ in 0..<30 {
                try await socket.send(binary: Self.block)
                try await socket.loop.time.wait(for: .milliseconds(10))
            }
        } _: { loop, path, _ in
            let socket = try await HTTPClient(loop: loop).webSocket(HTTPURL("unix:\(path)"))
            var count = 0
            while try await socket.receive() != nil { count += 1 }
            #expect(count == 30)
        }
    }

    @Test func `of two million pings that a peer does not read only the newest is answered`() async throws {
        try await withStalledClient { socket in
            // First the way to the peer is filled.
            while socket.unsentBytes < 64 * 1024 { try await socket.send(binary: Self.block) }
            _ = try await socket.receive()
            socket.close()
        } _: { peer, loop, handled in
            try await handled.until(loop) { $0.unsentBytes >= 64 * 1024 }
            let unsent = try await handled.unsentBytes(loop)
            let pings = (0..<20_000).flatMap { _ in RawFrame.make(0x89, []) }
            for _ in 0..<100 {
                try await peer.send(pings)
                try await peer.drained()
                #expect(try await handled.unsentBytes(loop) == unsent)
            }
            try await peer.send(RawFrame.make(0x89, Array("newest".utf8)))
            try await handled.until(loop) { $0.unansweredPing == Array("newest".utf8) }
            #expect(try await handled.unsentBytes(loop) == unsent)
            try await peer.resumeReading()
            let blocks = try await peer.receive(framesWhile: { $0.first == 0x82 })
            #expect(blocks.last?.first == 0x8A && blocks.last?.payload == Array("newest".utf8))
            try await peer.send(RawFrame.text("end"))
            let frames = try await peer.receive(frames: blocks.count + 1)
            #expect(frames.dropFirst(blocks.count).map(\.first) == [0x88])
        }
    }

    @Test func `while a peer reads, each of its pings is answered`() async throws {
        try await withUnixServer { socket in
            _ = try await socket.receive()
        } _: { loop, path, _ in
            let peer = try await RawPeer.connect(.unix(path), on: loop)
            let payloads: [[UInt8]] = (0..<1000).map { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
            let pings = payloads.flatMap { RawFrame.make(0x89, $0) }
            try await peer.send(Array(RawFrame.handshake.utf8) + pings + RawFrame.text("end"))
            let frames = try await peer.receive(frames: 1001)
            #expect(frames.dropLast().map(\.payload) == payloads)
            try await peer.close()
        }
    }

    @Test func `small frames that expand to much are expanded as they are taken`() async throws {
        let taking = Gate()
        try await withUnixServer { socket in
            try await taking.opened()
            var count = 0
            while case .binary(let bytes) = try await socket.receive() {
                #expect(bytes.count == 1_000_000)
                #expect(socket.inbox.bytes <= 256 * 1024 + 1_000_000)
                count += 1
            }
            try await socket.send(text: "\(count)")
        } _: { loop, path, handled in
            let peer = try await RawPeer.connect(.unix(path), on: loop)
            try await peer.send(RawFrame.handshake("sec-websocket-extensions: permessage-deflate"))
            #expect(try await peer.receive(until: "\r\n\r\n").contains("sec-websocket-extensions: permessage-deflate"))
            // Fifty megabytes in fifty kilobytes, which come in one reading.
            let frame = RawFrame.make(0xC2, try RawFrame.deflated([UInt8](repeating: 0, count: 1_000_000)))
            try await peer.send((0..<50).flatMap { _ in frame } + RawFrame.text("end"))
            try await handled.until(loop) { $0.isPaused && !$0.backlog.isEmpty && $0.inbox.bytes == 1_000_000 }
            taking.open()
            let frames = try await peer.receive(frames: 1)
            #expect(frames.first?.payload == Array("50".utf8))
            try await peer.close()
        }
    }
}

extension WebSocketPressureTests.Handled {
    func unsentBytes(_ loop: EventLoop) async throws -> Int {
        try await loop.run { self.socket.withLock { $0 }?.unsentBytes ?? -1 }
    }
}

extension RawPeer {
    /// The frames up to the first for which `isBefore` does not hold, that one included.
    func receive(framesWhile isBefore: @escaping @Sendable ((first: UInt8, payload: [UInt8])) -> Bool) async throws
        -> [(first: UInt8, payload: [UInt8])]
    {
        RawFrame.frames(try await receiveBytes { !RawFrame.frames($0).allSatisfy(isBefore) })
    }
}

/// Opened once; whoever waits goes on.
final class Gate: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream() }

    func open() { continuation.finish() }

    func opened() async throws {
        try await withDeadline(.seconds(30), time: SystemTime(), what: "a gate") {
            for await _ in self.stream {}
        }
    }
}
