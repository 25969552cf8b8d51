import Base
import EventLoop
import Synchronization
import Testing
import Transport
import WorkerProtocol

@testable import Relay

/// A link with both of its ends in this process, each on a loop of its own, and viewers through a server of theirs: all
/// by real sockets.
struct Bench: Sendable {
    let server: LinkChannels
    let viewers: HTTPClient
    let port: Int
    let loop: EventLoop

    static func with(maximum: Int = 64, _ body: @escaping @Sendable (Bench) async throws -> Void) async throws {
        let loops = try (0..<3).map { try EventLoop(name: "relay\($0)") }
        for loop in loops { loop.start() }
        defer { for loop in loops { loop.stop() } }
        let (here, there, own) = (loops[0], loops[1], loops[2])
        let ids = IDSource(time: own.time, randomness: SystemRandomness())
        let log = Log(sink: SilentSink(), time: own.time)
        let link = Mutex<LinkChannels?>(nil)
        let isUp = Wakeup()
        let http = HTTPServer(loops: [here], ids: ids, log: log) { request in
            guard request.path == "/link" else {
                guard let channels = link.withLock({ $0 }) else { throw BerthError(.unavailable, "no link") }
                let port = Int(request.queryValue("port") ?? "") ?? 0
                let channel = try await channels.connect(to: .port(port), until: own.time.uptime + .seconds(60))
                return HTTPResponse(
                    status: 101,
                    body: .webSocketHandOver(to: channels.loop) { channel.serve($0) }
                )
            }
            return HTTPResponse(
                status: 101,
                body: .webSocket(subprotocol: nil) { socket in
                    let channels = LinkChannels(socket, maximum: maximum)
                    channels.begin()
                    link.withLock { $0 = channels }
                    isUp.ring()
                    while case .text(let text)? = try await socket.receive() {
                        switch try MessageCodec.decode(WorkerMessage.self, from: Array(text.utf8)) {
                        case .connected(let message): channels.answered(message.channel, refusal: nil)
                        case .refused(let message): channels.answered(message.channel, refusal: message.reason)
                        default: Issue.record("an unexpected message: \(text)")
                        }
                    }
                }
            )
        }
        let address = try await http.listen(on: .tcp(host: "127.0.0.1", port: 0))
        let worker = try await HTTPClient(loop: there).webSocket(HTTPURL("ws://127.0.0.1:\(address.port)/link"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                let channels = LinkChannels(worker, maximum: 64)
                try await there.run { channels.begin() }
                try await withThrowingDiscardingTaskGroup { connects in
                    while case .text(let text)? = try await worker.receive() {
                        guard
                            case .connect(let connect)? = try MessageCodec.decode(
                                ServerMessage.self,
                                from: Array(text.utf8)
                            )
                        else { continue }
                        connects.addTask { await channels.take(connect) }
                    }
                }
            }
            try await isUp.wait(after: 0, until: own.time.uptime + .seconds(60), time: own.time)
            let channels = try #require(link.withLock { $0 })
            try await body(Bench(server: channels, viewers: HTTPClient(loop: own), port: address.port, loop: own))
            worker.close()
            try await group.waitForAll()
        }
        await http.shutdown(drainingFor: .seconds(2))
    }

    func viewer(of program: Program) async throws -> WebSocket {
        try await viewers.webSocket(HTTPURL("ws://127.0.0.1:\(port)/?port=\(program.port)"))
    }
}

/// A program that listens, on the bench's own loop.
final class Program: Sendable {
    let port: Int
    private let listener: ListeningSocket
    private let loop: EventLoop

    /// - Parameter accepted: is given each connection on the loop, and holds it.
    init(_ bench: Bench, host: String = "127.0.0.1", _ accepted: @escaping @Sendable (Socket) -> Void) async throws {
        let loop = bench.loop
        self.loop = loop
        listener = try await loop.run {
            guard let address = SocketAddress(numericHost: host, port: 0) else {
                throw BerthError(.invalidValue, "\(host) is no address")
            }
            return try ListeningSocket(tcp: address, loop: loop) { descriptor, _ in
                guard let socket = try? Socket(adopting: descriptor, loop: loop) else { return }
                accepted(socket)
            }
        }
        port = listener.address.port
    }

    deinit { loop.execute { [listener] in listener.close() } }
}

/// One connection of a program: what it does is three closures.
///
/// Held by its socket until that closes.
final class Conversation: SocketDelegate {
    let socket: Socket
    private let onBytes: (Socket, UnsafeRawBufferPointer) -> Void
    private let onEnd: (Socket) -> Void
    private let onClose: (BerthError?) -> Void

    @discardableResult
    init(
        _ socket: Socket,
        bytes: @escaping (Socket, UnsafeRawBufferPointer) -> Void = { _, _ in },
        end: @escaping (Socket) -> Void = { $0.closeAfterFlush() },
        closed: @escaping (BerthError?) -> Void = { _ in }
    ) {
        self.socket = socket
        onBytes = bytes
        onEnd = end
        onClose = closed
        socket.delegate = self
        socket.resumeReading()
    }

    func socketReceived(_ bytes: UnsafeRawBufferPointer) { onBytes(socket, bytes) }
    func socketInputEnded() { onEnd(socket) }
    func socketClosed(_ error: BerthError?) { onClose(error) }
}
