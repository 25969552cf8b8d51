public import Base

/// The books of one TCP channel as one of its two ends keeps them: how far it may send, how far the other may, and who
/// has said that nothing follows. Pure.
///
/// Invariants: `sent <= limit`, `received <= granted <= received + window`.
public struct TCPFlow: Sendable, Equatable {
    /// Bytes sent, which is also the offset of the next one.
    public private(set) var sent: Int64 = 0
    public private(set) var hasEnded = false
    private var limit = ChannelFrame.initialCredit

    /// Bytes received, which is also the offset of the next one.
    public private(set) var received: Int64 = 0
    public private(set) var peerHasEnded = false
    private var granted = ChannelFrame.initialCredit

    public init() {}

    /// Both directions have ended in order.
    public var isOver: Bool { hasEnded && peerHasEnded }

    /// How many bytes may be sent now.
    public var credit: Int { Int(limit - sent) }

    /// Counts bytes that are sent. At most ``credit``.
    public mutating func send(_ count: Int) { sent += Int64(count) }

    /// Nothing follows. Returns false when that was said before.
    public mutating func end() -> Bool {
        defer { hasEnded = true }
        return !hasEnded
    }

    public mutating func receiveCredit(limit: Int64) { self.limit = max(self.limit, limit) }

    public mutating func receive(offset: Int64, count: Int) throws(BerthError) {
        guard !peerHasEnded else { throw violation("sends bytes after its end") }
        guard offset == received else { throw violation("sends byte \(offset) where \(received) was due") }
        guard Int64(count) <= granted - received else { throw violation("sends past its credit of \(granted)") }
        received += Int64(count)
    }

    public mutating func receiveEnd(total: Int64) throws(BerthError) {
        guard !peerHasEnded else { throw violation("ends twice") }
        guard total == received else { throw violation("ends at \(total) after \(received) bytes") }
        peerHasEnded = true
    }

    /// Whether half of the window is used up, so that ``grant(waiting:)`` may have something to say.
    public var mayGrant: Bool { granted - received <= ChannelFrame.initialCredit / 2 && !peerHasEnded }

    /// The new limit to tell the other end; nil while it is too early.
    /// - Parameter waiting: bytes received and not passed on yet.
    public mutating func grant(waiting: Int) -> Int64? {
        let passedOn = received - Int64(waiting)
        guard !peerHasEnded, granted - passedOn <= ChannelFrame.initialCredit / 2 else { return nil }
        granted = passedOn + ChannelFrame.initialCredit
        return granted
    }

    private func violation(_ what: String) -> BerthError {
        BerthError(.protocolViolation, "the other end of a TCP channel \(what)")
    }
}
