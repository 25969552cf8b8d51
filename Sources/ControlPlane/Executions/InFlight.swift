import Base
import Domain
import Synchronization

/// What is being assigned just now: the next round does not take it up as well, and what became of it before its
/// assignment was sent is not forgotten.
final class InFlight: Sendable {
    private struct Entry {
        var attempt: Int
        /// A cancel was sent.
        var isCancelled = false
        /// The attempt has ended by the server's own word.
        var isOver = false
    }

    private let entries = Mutex<[ExecutionID: Entry]>([:])

    func begin(_ key: AttemptKey) -> Bool {
        entries.withLock { entries in
            guard entries[key.executionID] == nil else { return false }
            entries[key.executionID] = Entry(attempt: key.attempt)
            return true
        }
    }

    func end(_ id: ExecutionID) { entries.withLock { $0[id] = nil } }
    var count: Int { entries.withLock(\.count) }
    func contains(_ id: ExecutionID) -> Bool { entries.withLock { $0[id] != nil } }

    func noteCancel(_ key: AttemptKey) {
        entries.withLock { entries in
            if entries[key.executionID]?.attempt == key.attempt { entries[key.executionID]?.isCancelled = true }
        }
    }

    /// Every attempt up to this one is over.
    func noteEnd(_ key: AttemptKey) {
        entries.withLock { entries in
            if let entry = entries[key.executionID], entry.attempt <= key.attempt {
                entries[key.executionID]?.isOver = true
            }
        }
    }

    func wasCancelled(_ key: AttemptKey) -> Bool { entries.withLock { $0[key.executionID]?.isCancelled ?? false } }
    func isOver(_ key: AttemptKey) -> Bool { entries.withLock { $0[key.executionID]?.isOver ?? false } }
}
