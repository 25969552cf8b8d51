internal import Base

/// One question by TCP (RFC 7766): each message goes behind its length in two bytes.
///
/// `@unchecked Sendable`: touched only on its loop.
final class DNSStream: SocketDelegate, @unchecked Sendable {
    private let socket: Socket
    private var received: [UInt8] = []
    private var waiter: Waiter<[UInt8]>?

    private init(_ socket: Socket) { self.socket = socket }

    static func ask(_ question: [UInt8], _ server: SocketAddress, loop: EventLoop, until deadline: Uptime) async throws
        -> [UInt8]
    {
        let socket = try await Socket.connect(to: server, loop: loop, until: deadline)
        defer { loop.execute { socket.close() } }
        return try await loop.suspend(until: deadline, what: "the name server \(server.host)") { waiter in
            let exchange = DNSStream(socket)
            exchange.waiter = waiter
            guard socket.isOpen else {
                waiter.resume(throwing: Socket.closedError)
                return
            }
            socket.delegate = exchange
            let framed = [UInt8(question.count >> 8), UInt8(question.count & 0xFF)] + question
            framed.withUnsafeBytes { socket.write($0) }
            socket.resumeReading()
        }
    }

    func socketReceived(_ bytes: UnsafeRawBufferPointer) {
        received.append(contentsOf: bytes)
        guard received.count >= 2 else { return }
        let length = Int(received[0]) << 8 | Int(received[1])
        guard received.count >= 2 + length else { return }
        waiter?.resume(returning: Array(received[2..<(2 + length)]))
        waiter = nil
    }

    func socketInputEnded() { socket.close() }

    func socketClosed(_ error: BerthError?) {
        waiter?.resume(throwing: error ?? Socket.closedError)
        waiter = nil
    }
}
