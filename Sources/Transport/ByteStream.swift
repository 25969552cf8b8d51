internal import Base
internal import EventLoop
internal import OpenSSL

protocol ByteStreamSink: AnyObject {
    /// `bytes` are valid only during the call.
    func streamReceived(_ bytes: UnsafeRawBufferPointer)
    func streamInputEnded()
    /// Once, and last.
    func streamClosed(_ error: BerthError?)
}

/// A socket with what lies between it and the protocol: nothing, or TLS. Touched only on its loop.
final class ByteStream: SocketDelegate {
    let socket: Socket
    /// Kept while open, let go at the end: that breaks the cycle with the connection.
    var sink: (any ByteStreamSink)?

    init(_ socket: Socket) {
        self.socket = socket
        socket.delegate = self
    }

    var loop: EventLoop { socket.loop }
    var isOpen: Bool { socket.isOpen }
    var isSecure: Bool { false }
    var unsentBytes: Int { socket.unsentBytes }
    var isCongested: Bool { unsentBytes > Socket.highWater }

    func write(_ bytes: UnsafeRawBufferPointer) { socket.write(bytes) }
    func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { write($0) } }
    func write(_ text: StaticString) { text.withUTF8Buffer { write(UnsafeRawBufferPointer($0)) } }

    func resumeReading() { socket.resumeReading() }
    func pauseReading() { socket.pauseReading() }

    func whenDrained(_ waiter: Waiter<Void>) { socket.whenDrained(waiter) }
    func drained() async throws { try await socket.drained() }

    func closeAfterFlush() { socket.closeAfterFlush() }
    func close(_ error: BerthError? = nil) { socket.close(error) }

    func socketReceived(_ bytes: UnsafeRawBufferPointer) { sink?.streamReceived(bytes) }
    func socketInputEnded() { sink?.streamInputEnded() }

    func socketClosed(_ error: BerthError?) {
        let sink = sink
        self.sink = nil
        sink?.streamClosed(error)
    }
}
