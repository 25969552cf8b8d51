public import Base
public import EventLoop

/// A socket at the end of a channel: the worker's side, of a TCP port or of a service's process.
///
/// `@unchecked Sendable`: touched only on its loop, which is the link's.
public final class SocketEnd: ChannelEnd, @unchecked Sendable {
    private let socket: Socket
    private let channel: TCPChannel
    private var backlog = Backlog()
    private var isOver = false

    public init(_ socket: Socket, _ channel: TCPChannel) {
        self.socket = socket
        self.channel = channel
    }

    public func begin() {
        socket.delegate = self
        channel.attach(self)
        socket.resumeReading()
    }

    public func receive(_ bytes: UnsafeRawBufferPointer) { socket.write(bytes) }

    public var unsentBytes: Int { socket.unsentBytes }

    public func receiveEnd() { socket.endOutput() }

    public func channelOver(_ ending: ChannelEnding) {
        isOver = true
        switch ending {
        case .finished, .reset(_, afterItsEnd: true): socket.closeAfterFlush()
        case .reset, .linkLost: socket.reset()
        }
    }

    public func mayGoOn() {
        backlog.drain { channel.send($0) }
        guard backlog.isEmpty else { return }
        if socket.hasInputEnded { channel.endOutput() } else { socket.resumeReading() }
    }
}

extension SocketEnd: SocketDelegate {
    public func socketReceived(_ bytes: UnsafeRawBufferPointer) {
        guard !isOver else { return }
        let sent = backlog.isEmpty ? channel.send(bytes) : 0
        guard sent < bytes.count else { return }
        backlog.append(UnsafeRawBufferPointer(rebasing: bytes[sent...]))
        socket.pauseReading()
    }

    public func socketInputEnded() { if !isOver, backlog.isEmpty { channel.endOutput() } }

    public func socketProgressed() { channel.progressed() }

    public func socketClosed(_ error: BerthError?) {
        guard !isOver else { return }
        isOver = true
        channel.reset(error?.message ?? "the connection is closed")
    }
}
