import Base
import EventLoop
import Synchronization
import Testing

@testable import Transport

/// A server that answers with the bytes a test gives it, whatever is asked.
final class ScriptedServer: @unchecked Sendable {
    /// One connection: what came in on it, and the socket to answer on. Touched only on the loop.
    final class Connection: SocketDelegate, @unchecked Sendable {
        let socket: Socket
        let number: Int
        var received: [UInt8] = []
        var hasInputEnded = false
        /// For the script's own use.
        var isAnswered = false
        fileprivate let script: @Sendable (Connection) -> Void

        fileprivate init(_ socket: Socket, _ number: Int, _ script: @escaping @Sendable (Connection) -> Void) {
            self.socket = socket
            self.number = number
            self.script = script
        }

        var text: String { String(decoding: received, as: UTF8.self) }
        /// Whole heads so far.
        var heads: Int { text.ranges(of: "\r\n\r\n").count }

        /// A whole request without a body, once it is there; what came after it is dropped.
        func takeRequest() -> String? {
            guard heads > 0 else { return nil }
            defer { received = [] }
            return text
        }

        func answer(_ text: String) { answer(Array(text.utf8)) }
        func answer(_ bytes: [UInt8]) { bytes.withUnsafeBytes { socket.write($0) } }

        func socketReceived(_ bytes: UnsafeRawBufferPointer) {
            received.append(contentsOf: bytes)
            script(self)
        }
        func socketInputEnded() {
            hasInputEnded = true
            script(self)
        }
        func socketClosed(_ error: BerthError?) {}
    }

    let address: SocketAddress
    private let loop: EventLoop
    private let listener: ListeningSocket
    private let counter: Counter

    final class Counter: Sendable {
        let count = Atomic<Int>(0)
    }

    /// - Parameter script: called on the loop after each arrival of bytes and at the end of input.
    init(on loop: EventLoop, _ script: @escaping @Sendable (Connection) -> Void) async throws {
        let place = try #require(SocketAddress(numericHost: "127.0.0.1", port: 0))
        let counter = Counter()
        self.loop = loop
        self.counter = counter
        listener = try await loop.run {
            try ListeningSocket(tcp: place, loop: loop) { descriptor, _ in
                guard let socket = try? Socket(adopting: descriptor, loop: loop) else { return }
                let number = counter.count.wrappingAdd(1, ordering: .relaxed).newValue
                socket.delegate = Connection(socket, number, script)
                socket.resumeReading()
            }
        }
        address = listener.address
    }

    deinit {
        let listener = listener
        loop.execute { listener.close() }
    }

    var connections: Int { counter.count.load(ordering: .relaxed) }
    func url(_ target: String = "/") -> HTTPURL { address.url(target) }
}
