public import Base

/// A running server's claim to act, as it knows it itself: held from the moment that the last accepted request for it
/// was sent, never longer than the database grants it.
public struct ReplicaLease: Sendable, Equatable {
    /// How long a renewal holds, by the database's clock; a dead server's workers pass on after this.
    public static let duration: Duration = .seconds(10)
    public static let renewalInterval: Duration = .seconds(3)

    public enum State: Sendable, Equatable {
        case unregistered
        /// `fence` counts the registrations of this server; a later one of the same server makes it stale.
        case held(fence: Int64, until: Uptime)
        /// Ran out, or was refused: nothing is done until the next registration.
        case lost(fence: Int64)
        /// Given back: the server stops.
        case ended
    }

    public private(set) var state: State = .unregistered

    public init() {}

    public var fence: Int64? {
        if case .held(let fence, _) = state { fence } else { nil }
    }

    /// Of the lease that was held last.
    public var lastFence: Int64? {
        switch state {
        case .unregistered, .ended: nil
        case .held(let fence, _), .lost(let fence): fence
        }
    }

    public var until: Uptime? {
        if case .held(_, let until) = state { until } else { nil }
    }

    public func isHeld(at now: Uptime) -> Bool {
        if case .held(_, let until) = state { now < until } else { false }
    }

    /// - Parameter sentAt: before the request was sent; the database's own count began later.
    public mutating func registered(fence: Int64, sentAt: Uptime) {
        guard state != .ended else { return }
        state = .held(fence: fence, until: sentAt + Self.duration)
    }

    /// The database granted a renewal that was sent at `sentAt`. One that ran out meanwhile is not revived.
    public mutating func renewed(sentAt: Uptime, now: Uptime) {
        guard case .held(let fence, let until) = state, now < until else { return }
        state = .held(fence: fence, until: max(until, sentAt + Self.duration))
    }

    /// The database says that it is no longer held.
    public mutating func refused() {
        if case .held(let fence, _) = state { state = .lost(fence: fence) }
    }

    public mutating func end() { state = .ended }

    /// Returns true once: when it has run out.
    public mutating func expire(now: Uptime) -> Bool {
        guard case .held(let fence, let until) = state, now >= until else { return false }
        state = .lost(fence: fence)
        return true
    }
}

/// What a write about a worker is fenced by: the server that it is, or was last, connected to, and the number of that
/// connection. A worker that has connected anew, anywhere, makes it stale.
public struct WorkerFence: Sendable, Equatable {
    public var replicaID: ReplicaID
    public var connection: Int64

    public init(replicaID: ReplicaID, connection: Int64) {
        self.replicaID = replicaID
        self.connection = connection
    }
}
