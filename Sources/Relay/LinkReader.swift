public import Base
internal import EventLoop
public import Transport

/// What a ``LinkReader`` hands a link's messages to.
public protocol LinkReceiver: Sendable {
    /// Messages in the order of arrival.
    func receive(_ messages: [WebSocketMessage]) async
    /// When ``keepUp()`` has something to do next, as things stand after the last call; nil: never.
    var due: Uptime? { get async }
    func keepUp() async
    /// Once, and last.
    func ended(_ end: WebSocket.End) async
}

/// Hands what comes over one worker's link to its receiver, in order and one call at a time, and keeps the receiver's
/// deadlines. Most workers are idle most of the time: a task exists only while there is something to hand on, so that
/// none keeps the memory of its deepest call.
///
/// `@unchecked Sendable`: state is touched only on the socket's loop, where its tasks run too.
public final class LinkReader: @unchecked Sendable {
    private let socket: WebSocket
    private let channels: LinkChannels
    private let receiver: any LinkReceiver
    private var timer: LoopTimer?
    private var isDue = false
    private var end: WebSocket.End?
    private var isBusy = false

    private init(_ socket: WebSocket, _ channels: LinkChannels, _ receiver: any LinkReceiver) {
        self.socket = socket
        self.channels = channels
        self.receiver = receiver
    }

    /// Takes over the socket, frames for `channels` excepted, until its end. On the loop, before anything is read.
    public static func begin(_ socket: WebSocket, _ channels: LinkChannels, _ receiver: any LinkReceiver) {
        let reader = LinkReader(socket, channels, receiver)
        reader.timer = LoopTimer(loop: socket.loop) { [unowned reader] in
            reader.isDue = true
            reader.work()
        }
        channels.begin(behind: reader)
        reader.work()
    }

    private func work() {
        guard !isBusy else { return }
        isBusy = true
        socket.loop.spawn { [self] in
            while await !handOn() {}
        }
    }

    /// True when nothing is left to do for now.
    private func handOn() async -> Bool {
        while socket.hasQueued { await receiver.receive(socket.takeQueued()) }
        if let end {
            timer?.close()
            timer = nil
            await receiver.ended(end)
            return true
        }
        if isDue {
            isDue = false
            await receiver.keepUp()
        }
        let due = await receiver.due
        guard !isDue, end == nil, !socket.hasQueued else { return false }
        timer?.set(due)
        isBusy = false
        return true
    }
}

extension LinkReader: WebSocketSink {
    public func webSocketReceived(binary bytes: UnsafeRawBufferPointer) -> Bool {
        channels.webSocketReceived(binary: bytes)
    }

    public func webSocketReceived(text: String) -> Bool { false }

    public func webSocketQueued() { work() }

    public func webSocketProgressed() { channels.webSocketProgressed() }

    public func webSocketEnded(_ end: WebSocket.End) {
        channels.webSocketEnded(end)
        self.end = end
        work()
    }
}
