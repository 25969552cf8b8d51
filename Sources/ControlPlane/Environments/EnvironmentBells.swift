import Base
import Synchronization

/// One bell per environment that somebody waits for; rung for every change of its row.
final class EnvironmentBells: Sendable {
    private struct Weak: Sendable {
        weak var bell: Wakeup?
    }

    private let bells = Mutex<[EnvironmentID: Weak]>([:])

    /// Lives as long as somebody holds it.
    func bell(for environment: EnvironmentID) -> Wakeup {
        bells.withLock { bells in
            if let bell = bells[environment]?.bell { return bell }
            let bell = Wakeup()
            bells[environment] = Weak(bell: bell)
            return bell
        }
    }

    func ring(_ environment: EnvironmentID) {
        let bell = bells.withLock { bells -> Wakeup? in
            guard let entry = bells[environment] else { return nil }
            if entry.bell == nil { bells[environment] = nil }
            return entry.bell
        }
        bell?.ring()
    }
}
