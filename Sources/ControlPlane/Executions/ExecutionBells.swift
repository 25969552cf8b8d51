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
    /// Rings with each new bell.
    let made = Wakeup()

    /// The execution's bell; it lives as long as somebody holds it.
    func bell(for execution: ExecutionID) -> ExecutionBell {
        let (bell, isNew) = state.withLock { state -> (ExecutionBell, Bool) in
            if let bell = state.bells[execution]?.bell { return (bell, false) }
            if state.bells.count > state.tidyAbove {
                state.bells = state.bells.filter { $0.value.bell != nil }
                state.tidyAbove = max(64, 2 * state.bells.count)
            }
            let bell = ExecutionBell()
            state.bells[execution] = Weak(bell: bell)
            return (bell, true)
        }
        if isNew { made.ring() }
        return bell
    }

    /// Executions whose bell somebody holds.
    var living: [ExecutionID] {
        state.withLock { $0.bells.filter { $0.value.bell != nil }.keys.sorted() }
    }

    func ringAll() {
        for execution in living {
            ring(execution, .changed)
            ring(execution, .grown)
        }
    }

    func ring(_ execution: ExecutionID, _ news: ExecutionNews) {
        state.withLock { $0.bells[execution]?.bell }?.ring(news)
    }
}
