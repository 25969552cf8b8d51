import Base
import Domain
import Synchronization

/// One bell per execution that somebody watches.
final class ExecutionBells: Sendable {
    private struct Weak: Sendable {
        weak var bell: ExecutionBell?
    }

    private struct State {
        var bells: [ExecutionID: Weak] = [:]
        /// Entries of bells that nobody holds any more go when there are more than this many.
        var tidyAbove = 64
    }

    private let state = Mutex(State())

    /// The execution's bell; it lives as long as somebody holds it.
    func bell(for execution: ExecutionID) -> ExecutionBell {
        state.withLock { state in
            if let bell = state.bells[execution]?.bell { return bell }
            if state.bells.count > state.tidyAbove {
                state.bells = state.bells.filter { $0.value.bell != nil }
                state.tidyAbove = max(64, 2 * state.bells.count)
            }
            let bell = ExecutionBell()
            state.bells[execution] = Weak(bell: bell)
            return bell
        }
    }

    func ring(_ execution: ExecutionID, _ news: ExecutionNews) {
        state.withLock { $0.bells[execution]?.bell }?.ring(news)
    }
}
