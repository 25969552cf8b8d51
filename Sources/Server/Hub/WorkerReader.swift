import Base
import EventLoop
import Relay
import Transport
import Workers

/// Hands what comes over one worker's socket to its ``WorkerLink``, in order and one at a time, and keeps the link's
/// deadlines. Most workers are idle most of the time: a task exists only while there is something to hand on, so that
/// none keeps the memory of its deepest call.
///
/// `@unchecked Sendable`: state is touched only on the socket's loop, where its tasks run too.
final class WorkerReader: @unchecked Sendable {
    private let socket: WebSocket
    private let channels: LinkChannels
    private let link: WorkerLink
    private let log: Log
    private let ended: () -> Void
    private var timer: LoopTimer?
    private var isDue = false
    private var hasEnded = false
    private var isBusy = false

    /// - Parameter ended: called once, when the link knows of its end.
    init(_ socket: WebSocket, _ channels: LinkChannels, _ link: WorkerLink, log: Log, ended: @escaping () -> Void) {
        self.socket = socket
        self.channels = channels
        self.link = link
        self.log = log
        self.ended = ended
    }

    /// Takes the socket over, which keeps the reader until its end. On the loop.
    func begin() {
        timer = LoopTimer(loop: socket.loop) { [unowned self] in
            isDue = true
            work()
        }
        channels.begin(behind: self)
        work()
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
        while socket.hasQueued {
            await link.receive(
                socket.takeQueued().map { message in
                    switch message {
                    case .text(let text): .text(Array(text.utf8))
                    case .binary(let bytes): .binary(bytes)
                    }
                }
            )
        }
        if hasEnded {
            timer?.close()
            timer = nil
            await link.disconnected()
            ended()
            return true
        }
        if isDue {
            isDue = false
            await link.keepUp()
        }
        let due = await link.due
        guard !isDue, !hasEnded, !socket.hasQueued else { return false }
        timer?.set(due)
        isBusy = false
        return true
    }
}

extension WorkerReader: WebSocketSink {
    func webSocketReceived(binary bytes: UnsafeRawBufferPointer) -> Bool { channels.webSocketReceived(binary: bytes) }

    func webSocketReceived(text: String) -> Bool { false }

    func webSocketQueued() { work() }

    func webSocketProgressed() { channels.webSocketProgressed() }

    func webSocketEnded(_ end: WebSocket.End) {
        if case .failed(let error) = end { log.debug("worker connection ended", ["error": "\(error)"]) }
        channels.webSocketEnded(end)
        hasEnded = true
        work()
    }
}
