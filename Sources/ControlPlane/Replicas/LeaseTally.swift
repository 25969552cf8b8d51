import Synchronization

/// What became of this server's lease since its start.
public final class LeaseTally: Sendable {
    public struct Counts: Sendable, Equatable {
        public var renewals: UInt64 = 0
        /// Renewals that the database did not answer or refused.
        public var failures: UInt64 = 0
        public var losses: UInt64 = 0
        /// Workers taken over from servers that are gone.
        public var adoptedWorkers: UInt64 = 0
    }

    private let stored = Mutex(Counts())

    public var counts: Counts { stored.withLock { $0 } }

    func count(_ change: (inout Counts) -> Void) { stored.withLock { change(&$0) } }
}
