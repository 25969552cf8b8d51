import Base
import Domain
import Synchronization

/// What is being assigned just now, so that the next round does not take it up as well.
final class InFlight: Sendable {
    private struct State {
        /// Its row says, or said, that it is queued.
        var isFromQueue: Bool
        /// A cancel came in the meantime.
        var wasCancelled = false
        /// A round of the dispatcher found it queued and left it alone.
        var wasPassedOver = false
    }

    private let states = Mutex<[ExecutionID: State]>([:])

    func begin(_ id: ExecutionID, isFromQueue: Bool = false) -> Bool {
        states.withLock { states in
            guard states[id] == nil else { return false }
            states[id] = State(isFromQueue: isFromQueue)
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

    func noteCancel(_ id: ExecutionID) { states.withLock { $0[id]?.wasCancelled = true } }

    func wasCancelled(_ id: ExecutionID) -> Bool { states.withLock { $0[id]?.wasCancelled ?? false } }
}
