internal import AgentSessions
internal import Base
internal import Domain
public import EventLoop
public import Relay
public import WorkerProtocol

/// Somebody who follows a session: the worker's end of a channel of a ``SessionAttachment``'s lines.
///
/// `@unchecked Sendable`: touched only on the link's loop, which is the worker's.
public final class SessionViewer: ChannelEnd, @unchecked Sendable {
    private let channel: TCPChannel
    private let session: LiveSession
    private let loop: EventLoop
    private let read: @Sendable (_ after: Int64, SessionViewer) -> Void
    private let follows: Bool
    /// What was sent last.
    private var seq: Int64
    /// Where the snapshot ends.
    private let snapshotEnd: Int64
    private var hasToldSnapshot = false
    private var hasToldSession = false
    private var isReading = false
    private var waiting: ArraySlice<UInt8> = []
    private var isOver = false

    /// - Parameter read: fetches lines of the log and gives them to ``fetched(_:)``.
    public init(
        _ attachment: SessionAttachment,
        _ session: LiveSession,
        _ channel: TCPChannel,
        loop: EventLoop,
        read: @escaping @Sendable (_ after: Int64, SessionViewer) -> Void
    ) {
        self.channel = channel
        self.session = session
        self.loop = loop
        self.read = read
        follows = attachment.follows
        let last = session.record.lastSequence
        snapshotEnd = last
        seq = attachment.after < 0 ? max(0, last + attachment.after) : min(attachment.after, last)
    }

    public func begin() {
        session.add(self)
        channel.attach(self)
        pump()
    }

    func sessionChanged() {
        hasToldSession = false
        pump()
    }

    private func pump() {
        while waiting.isEmpty, !isReading, !isOver {
            let isFirst = !hasToldSession && !hasToldSnapshot && seq < snapshotEnd
            let last = session.record.lastSequence
            if isFirst || seq == last && !hasToldSession {
                hasToldSession = true
                tellSession()
            } else if seq < last {
                guard let lines = session.recentLines(after: seq) else {
                    isReading = true
                    return read(seq, self)
                }
                seq = lines.last
                send(lines.text)
            } else if !hasToldSnapshot {
                hasToldSnapshot = true
                send(Array("snapshot \(seq)\n".utf8))
                if !follows { return finish() }
            } else {
                return
            }
        }
    }

    /// The lines that were asked for; nil: they cannot be read.
    public func fetched(_ lines: (text: [UInt8], last: Int64)?) {
        isReading = false
        guard !isOver else { return }
        guard let lines else { return leave("the session's log cannot be read") }
        seq = lines.last
        send(lines.text)
        pump()
    }

    private func tellSession() {
        var line = Array("session ".utf8)
        line += (try? JSONText.encode(session.record.view)) ?? []
        line.append(UInt8(ascii: "\n"))
        send(line)
    }

    private func finish() {
        isOver = true
        session.remove(self)
        if waiting.isEmpty { channel.endOutput() }
    }

    private func send(_ bytes: [UInt8]) {
        let sent = bytes.withUnsafeBytes { channel.send($0) }
        if sent < bytes.count { waiting = bytes[sent...] }
    }

    public func mayGoOn() {
        if !waiting.isEmpty {
            let sent = waiting.withUnsafeBytes { channel.send($0) }
            waiting = sent == waiting.count ? [] : waiting.dropFirst(sent)
            guard waiting.isEmpty else { return }
        }
        if isOver { channel.endOutput() } else { pump() }
    }

    func leave(_ reason: String) {
        guard !isOver else { return }
        isOver = true
        session.remove(self)
        channel.reset(reason)
    }

    // What a viewer says is not read.
    public func receive(_ bytes: UnsafeRawBufferPointer) {}
    public var unsentBytes: Int { 0 }
    public func receiveEnd() {}

    public func channelOver(_ ending: ChannelEnding) {
        isOver = true
        session.remove(self)
    }
}
