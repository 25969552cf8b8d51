internal import Base
internal import EventLoop

/// A socket at the end of a channel: the worker's side.
///
/// `@unchecked Sendable`: touched only on its loop, which is the link's.
final class SocketEnd: ChannelEnd, @unchecked Sendable {
    private let socket: Socket
    private let channel: TCPChannel
    private var backlog = Backlog()
    private var isOver = false

    init(_ socket: Socket, _ channel: TCPChannel) {
        self.socket = socket
        self.channel = channel
    }

    func begin() {
        socket.delegate = self
        channel.attach(self)
        socket.resumeReading()
    }

    func receive(_ bytes: UnsafeRawBufferPointer) { socket.write(bytes) }

    var unsentBytes: Int { socket.unsentBytes }

    func receiveEnd() { socket.endOutput() }

    func channelOver(_ ending: ChannelEnding) {
        isOver = true
        switch ending {
        case .finished, .reset(_, afterItsEnd: true): socket.closeAfterFlush()
        case .reset, .linkLost: socket.reset()
        }
    }

    func mayGoOn() {
        backlog.drain { channel.send($0) }
        guard backlog.isEmpty else { return }
        if socket.hasInputEnded { channel.endOutput() } else { socket.resumeReading() }
    }
}

extension SocketEnd: SocketDelegate {
    func socketReceived(_ bytes: UnsafeRawBufferPointer) {
        guard !isOver else { return }
        let sent = backlog.isEmpty ? channel.send(bytes) : 0
        guard sent < bytes.count else { return }
        backlog.append(UnsafeRawBufferPointer(rebasing: bytes[sent...]))
        socket.pauseReading()
    }

    func socketInputEnded() { if !isOver, backlog.isEmpty { channel.endOutput() } }

    func socketProgressed() { channel.progressed() }

    func socketClosed(_ error: BerthError?) {
        guard !isOver else { return }
        isOver = true
        channel.reset(error?.message ?? "the connection is closed")
    }
}
