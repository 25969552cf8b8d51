import Base
import Synchronization

/// Which connection an organization's transactions go over: one at a time, so that they share commits and never wait for
/// each other's locks. One without a transaction under way may go over any, and takes the least busy.
final class WriterLanes: Sendable {
    private struct Place {
        var lane: Int
        /// Transactions that have not ended.
        var count: Int
    }

    private struct State {
        var places: [OrganizationID: Place] = [:]
        /// Transactions of each lane that have not ended.
        var busy: [Int]
    }

    private let state: Mutex<State>

    init(count: Int) { state = Mutex(State(busy: Array(repeating: 0, count: count))) }

    /// To be given back with ``leave(_:)``.
    func enter(_ organization: OrganizationID) -> Int {
        state.withLock { state in
            let known = state.places[organization]
            let lane = known?.lane ?? state.busy.indices.min { state.busy[$0] < state.busy[$1] } ?? 0
            state.places[organization] = Place(lane: lane, count: (known?.count ?? 0) + 1)
            state.busy[lane] += 1
            return lane
        }
    }

    func leave(_ organization: OrganizationID) {
        state.withLock { state in
            guard var place = state.places[organization] else { return }
            place.count -= 1
            state.busy[place.lane] -= 1
            state.places[organization] = place.count > 0 ? place : nil
        }
    }
}
