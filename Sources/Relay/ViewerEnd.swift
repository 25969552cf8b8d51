internal import Base
internal import EventLoop
internal import Transport

/// A viewer's WebSocket at the end of a channel. Binary messages carry the bytes; an empty one says that nothing
/// follows from its sender. Closed with 1000 when both sides have ended, 1013 when the worker's link was lost, 1014
/// when the connection in the environment was reset, 1003 after a text message.
///
/// Held by its socket while that is open, and by its channel.
final class ViewerEnd: ChannelEnd {
    private enum State {
        case open  // → leaving, over
        case leaving(LoopTimer)  // the viewer has gone in order; what it sent still goes out → over
        case over
    }

    private let socket: WebSocket
    private let channel: TCPChannel
    private var backlog = Backlog()
    private var hasViewerEnded = false
    private var state = State.open
    /// For what a viewer left behind while nobody takes it.
    private static let leavingTime = Duration.seconds(30)

    init(_ socket: WebSocket, _ channel: TCPChannel) {
        self.socket = socket
        self.channel = channel
    }

    // MARK: To the viewer

    func receive(_ bytes: UnsafeRawBufferPointer) {
        socket.put(binary: bytes)
    }

    var unsentBytes: Int { socket.unsentBytes }

    func receiveEnd() { receive(UnsafeRawBufferPointer(start: nil, count: 0)) }

    func channelOver(_ ending: ChannelEnding) {
        end()
        switch ending {
        case .finished: socket.close(code: .normal)
        case .reset(let reason, _): socket.close(code: .badGateway, reason: reason)
        case .linkLost: socket.close(code: .tryAgainLater, reason: "the connection to the environment was lost")
        }
    }

    private func end() {
        if case .leaving(let timer) = state { timer.close() }
        state = .over
    }

    // MARK: From the viewer

    func mayGoOn() {
        backlog.drain { channel.send($0) }
        guard backlog.isEmpty else { return }
        if case .leaving = state { return leave() }
        if hasViewerEnded { channel.endOutput() } else { socket.unhold() }
    }

    /// In order, but without waiting for the other side's end.
    private func leave() {
        end()
        channel.endOutput()
        channel.reset("the viewer has closed the connection")
    }
}

extension ViewerEnd: WebSocketSink {
    func webSocketReceived(binary bytes: UnsafeRawBufferPointer) -> Bool {
        guard case .open = state, !hasViewerEnded else { return true }
        if bytes.isEmpty {
            hasViewerEnded = true
            if backlog.isEmpty { channel.endOutput() }
            return true
        }
        let sent = backlog.isEmpty ? channel.send(bytes) : 0
        if sent < bytes.count {
            backlog.append(UnsafeRawBufferPointer(rebasing: bytes[sent...]))
            socket.hold()
        }
        return true
    }

    func webSocketReceived(text: String) -> Bool {
        guard case .open = state else { return true }
        end()
        channel.reset("the viewer sent text")
        socket.close(code: .unsupportedData, reason: "bytes travel in binary messages")
        return true
    }

    func webSocketProgressed() { channel.progressed() }

    func webSocketEnded(_ ending: WebSocket.End) {
        guard case .open = state else { return }
        guard case .closed(let code, _) = ending, [nil, .normal, .goingAway].contains(code) else {
            end()
            return channel.reset("the viewer's connection broke")
        }
        if backlog.isEmpty { return leave() }
        let timer = LoopTimer(loop: socket.loop) { [unowned self] in
            end()
            channel.reset("the viewer has gone, and its last bytes were not taken")
        }
        state = .leaving(timer)
        timer.set(after: Self.leavingTime)
    }
}
