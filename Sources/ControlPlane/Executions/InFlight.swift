import Base
import Domain
import Synchronization

/// What is being assigned just now: the next round does not take it up as well, and what became of it before its
/// assignment was sent is not forgotten.
final class InFlight: Sendable {
    private struct State {
        var attempt: Int
        /// Its row says, or said, that it is queued.
        var isFromQueue: Bool
        /// A cancel was sent in the meantime.
        var wasCancelled = false
        /// The attempt ended in the meantime.
        var isOver = false
        /// Its worker has told of its end, so it had the assignment.
        var isReported = false
        /// A round of the dispatcher found it queued and left it alone.
        var wasPassedOver = false
    }

    private let states = Mutex<[ExecutionID: State]>([:])

    func begin(_ key: AttemptKey, isFromQueue: Bool = false) -> Bool {
        states.withLock { states in
            guard states[key.executionID] == nil else {
                states[key.executionID]?.wasPassedOver = true
                return false
            }
            states[key.executionID] = State(attempt: key.attempt, isFromQueue: isFromQueue)
            return true
        }
    }

    /// Returns whether a round has passed over it: it may be queued again by now, and nobody else rings for it.
    @discardableResult
    func end(_ id: ExecutionID) -> Bool { states.withLock { $0.removeValue(forKey: id)?.wasPassedOver ?? false } }

    /// Those whose rows the dispatcher may find queued, by id.
    var fromQueue: [ExecutionID] {
        states.withLock { $0.filter { $0.value.isFromQueue }.map(\.key) }.sorted()
    }

    /// Whether it is in flight.
    func passOver(_ id: ExecutionID) -> Bool {
        states.withLock { states in
            guard states[id] != nil else { return false }
            states[id]?.wasPassedOver = true
            return true
        }
    }

    func noteCancel(_ key: AttemptKey) {
        states.withLock { states in
            if states[key.executionID]?.attempt == key.attempt { states[key.executionID]?.wasCancelled = true }
        }
    }

    /// Every attempt up to this one is over.
    func noteEnd(_ key: AttemptKey) {
        states.withLock { states in
            if let state = states[key.executionID], state.attempt <= key.attempt {
                states[key.executionID]?.isOver = true
            }
        }
    }

    func noteReport(_ key: AttemptKey) {
        states.withLock { states in
            if states[key.executionID]?.attempt == key.attempt { states[key.executionID]?.isReported = true }
        }
    }

    func wasCancelled(_ key: AttemptKey) -> Bool { states.withLock { $0[key.executionID]?.wasCancelled ?? false } }
    func isOver(_ key: AttemptKey) -> Bool { states.withLock { $0[key.executionID]?.isOver ?? false } }
    func isReported(_ key: AttemptKey) -> Bool { states.withLock { $0[key.executionID]?.isReported ?? false } }
}
