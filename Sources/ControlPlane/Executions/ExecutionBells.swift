import Base
import Domain
import Synchronization

/// One bell per execution that somebody watches; rung for a change of state, progress and output.
final class ExecutionBells: Sendable {
    private struct Weak: Sendable {
        weak var bell: Wakeup?
    }

    private let bells = Mutex<[ExecutionID: Weak]>([:])

    /// The execution's bell; it lives as long as somebody holds it.
    func bell(for execution: ExecutionID) -> Wakeup {
        bells.withLock { bells in
            if let bell = bells[execution]?.bell { return bell }
            let bell = Wakeup()
            bells[execution] = Weak(bell: bell)
            return bell
        }
    }

    func ring(_ execution: ExecutionID) {
        let bell = bells.withLock { bells -> Wakeup? in
            guard let entry = bells[execution] else { return nil }
            if entry.bell == nil { bells[execution] = nil }
            return entry.bell
        }
        bell?.ring()
    }
}
