import Base
import EventLoop
import Glibc
import Testing

@testable import Transport

extension HTTPServer {
    convenience init(
        _ loops: [EventLoop],
        configuration: HTTPServerConfiguration = HTTPServerConfiguration(),
        log: any LogSink = SilentSink(),
        handler: @escaping HTTPHandler
    ) {
        self.init(
            loops: loops,
            configuration: configuration,
            ids: IDSource(time: SystemTime(), randomness: SystemRandomness()),
            log: Log(sink: log, time: SystemTime()),
            handler: handler
        )
    }
}

/// A server on a free loopback port, and its loop, for the length of `body`.
func withServer(
    configuration: HTTPServerConfiguration = HTTPServerConfiguration(),
    log: any LogSink = SilentSink(),
    handler: @escaping HTTPHandler,
    _ body: (HTTPServer, EventLoop, SocketAddress) async throws -> Void
) async throws {
    try await withLoop { loop in
        let server = HTTPServer([loop], configuration: configuration, log: log, handler: handler)
        let address = try await server.listen(on: .tcp(host: "127.0.0.1", port: 0))
        try await body(server, loop, address)
        await server.shutdown(drainingFor: .zero)
    }
}

extension SocketAddress {
    func url(_ target: String = "/") -> HTTPURL {
        HTTPURL(endpoint: .tcp(host: host, port: port), target: target)
    }
}

/// Speaks bytes, not HTTP: what a test wants to send, however wrong.
final class RawPeer: SocketDelegate, @unchecked Sendable {
    let loop: EventLoop
    private let socket: Socket
    private var received: [UInt8] = []
    private var hasEnded = false
    private var isReadingOnce = false
    private var waiters: [(isEnough: ([UInt8], Bool) -> Bool, waiter: Waiter<String>)] = []

    private init(_ socket: Socket, reading: Bool) {
        self.socket = socket
        loop = socket.loop
        socket.delegate = self
        if reading { socket.resumeReading() }
    }

    static func connect(_ address: SocketAddress, on loop: EventLoop, reading: Bool = true) async throws -> RawPeer {
        let socket = try await Socket.connect(to: address, loop: loop)
        return try await loop.run { RawPeer(socket, reading: reading) }
    }

    /// An address, and who connects to it.
    static func listen(on loop: EventLoop) async throws -> (SocketAddress, AsyncStream<RawPeer>) {
        let (peers, continuation) = AsyncStream.makeStream(of: RawPeer.self)
        let any = try #require(SocketAddress(numericHost: "127.0.0.1", port: 0))
        let address = try await loop.run {
            try ListeningSocket(tcp: any, loop: loop) { descriptor, _ in
                guard let socket = try? Socket(adopting: descriptor, loop: loop) else { return }
                continuation.yield(RawPeer(socket, reading: true))
            }.address
        }
        return (address, peers)
    }

    func send(_ text: String) async throws { try await send(Array(text.utf8)) }
    func send(_ bytes: [UInt8]) async throws {
        try await loop.run { bytes.withUnsafeBytes { self.socket.write($0) } }
    }

    /// Returns when the kernel has taken nearly all that was sent.
    func drained() async throws { try await socket.drained() }
    /// Reads once, up to `count` bytes, and then no more until asked again.
    func readOnce(atMost count: Int) async throws {
        let before = try await receivedCount()
        try await loop.run {
            self.socket.readSize = count
            self.isReadingOnce = true
            self.socket.resumeReading()
        }
        _ = try await receiveBytes { $0.count > before }
    }

    func resumeReading() async throws { try await loop.run { self.socket.resumeReading() } }
    func close() async throws { try await loop.run { self.socket.close() } }
    func hasEnded() async throws -> Bool { try await loop.run { self.hasEnded } }
    func receivedCount() async throws -> Int { try await loop.run { self.received.count } }

    /// Everything until `text` has come in (or the end), as text.
    func receive(until text: String, times: Int = 1) async throws -> String {
        try await wait { bytes, hasEnded in
            hasEnded || String(decoding: bytes, as: UTF8.self).ranges(of: text).count >= times
        }
    }

    /// Everything until the peer closes.
    func receiveAll() async throws -> String { try await wait { _, hasEnded in hasEnded } }

    /// Everything until the peer closes, or until it is enough.
    func receiveBytes(until isEnough: @escaping @Sendable ([UInt8]) -> Bool = { _ in false }) async throws -> [UInt8] {
        _ = try await wait { bytes, hasEnded in hasEnded || isEnough(bytes) }
        return try await loop.run { self.received }
    }

    /// At least `count` bytes, or what there is after a while.
    func receive(count: Int, orAfter time: Duration) async throws -> String {
        let enough: @Sendable ([UInt8], Bool) -> Bool = { $1 || $0.count >= count }
        return (try? await wait(until: loop.time.uptime + time, enough)) ?? ""
    }

    private func wait(_ isEnough: @escaping @Sendable ([UInt8], Bool) -> Bool) async throws -> String {
        try await wait(until: loop.time.uptime + .seconds(20), isEnough)
    }

    private func wait(
        until deadline: Uptime,
        _ isEnough: @escaping @Sendable ([UInt8], Bool) -> Bool
    ) async throws -> String {
        try await loop.suspend(until: deadline, what: "the peer") { waiter in
            self.waiters.append((isEnough, waiter))
            self.check()
        }
    }

    private func check() {
        waiters.removeAll { entry in
            guard entry.isEnough(received, hasEnded) else { return false }
            entry.waiter.resume(returning: String(decoding: received, as: UTF8.self))
            return true
        }
    }

    func socketReceived(_ bytes: UnsafeRawBufferPointer) {
        received.append(contentsOf: bytes)
        if isReadingOnce {
            isReadingOnce = false
            socket.pauseReading()
        }
        check()
    }
    func socketInputEnded() {
        hasEnded = true
        check()
    }
    func socketClosed(_ error: BerthError?) {
        hasEnded = true
        check()
    }
}
