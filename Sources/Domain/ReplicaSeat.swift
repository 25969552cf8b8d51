public import Base
import Synchronization

/// Which server this is and whether it may act now: what every part of a server asks before it acts for others.
public final class ReplicaSeat: Sendable {
    public let id: ReplicaID
    /// Whether other servers may use the same database. One that is alone needs nobody's leave: a full disk, which keeps
    /// it from renewing its lease, is no reason to part with its workers.
    public let isShared: Bool
    private let lease = Mutex(ReplicaLease())
    private let known = Mutex<[String]?>(nil)
    /// Rings when the lease was lost or won.
    public let changed = Wakeup()

    public init(_ id: ReplicaID = .alone, isShared: Bool = false) {
        self.id = id
        self.isShared = isShared
    }

    public func isActing(at now: Uptime) -> Bool { !isShared || lease.withLock { $0.isHeld(at: now) } }

    public var fence: Int64? { lease.withLock { $0.fence } }

    public var hasEnded: Bool { lease.withLock { $0.state == .ended } }

    public var lastFence: Int64? { lease.withLock { $0.lastFence } }

    /// URLs of the servers of this database, this one among them, for workers and viewers; nil where they are not told.
    public var servers: [String]? { known.withLock { $0 } }

    public func know(servers: [String]?) { known.withLock { $0 = servers } }

    /// When the lease runs out unless it is renewed before.
    public var heldUntil: Uptime? { lease.withLock { $0.until } }

    /// Lets the lease take an event.
    @discardableResult
    public func change<Value: Sendable>(_ body: (inout ReplicaLease) -> Value) -> Value {
        let (value, isChanged) = lease.withLock { lease in
            let before = lease.fence
            let value = body(&lease)
            return (value, lease.fence != before)
        }
        if isChanged { changed.ring() }
        return value
    }
}
