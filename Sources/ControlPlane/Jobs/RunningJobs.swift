import Base
import Domain
import Synchronization

/// The jobs that this process runs, and whether it takes more.
final class RunningJobs: Sendable {
    private struct State {
        var jobs: [JobID: (subject: String, interruption: Wakeup)] = [:]
        var isStopping = false
        /// Claims that are being made, and how many were begun.
        var claiming = 0
        var claims: UInt64 = 0
    }

    private let state = Mutex(State())

    var isStopping: Bool { state.withLock { $0.isStopping } }
    func stop() { state.withLock { $0.isStopping = true } }
    func contains(_ id: JobID) -> Bool { state.withLock { $0.jobs[id] != nil } }
    var isEmpty: Bool { state.withLock { $0.jobs.isEmpty } }

    /// To be followed by `begin` or `claimedNothing`.
    func willClaim() {
        state.withLock { state in
            state.claiming += 1
            state.claims += 1
        }
    }

    func claimedNothing() { state.withLock { $0.claiming -= 1 } }

    func begin(_ claim: JobClaim) -> Wakeup {
        let interruption = Wakeup()
        state.withLock { state in
            state.claiming -= 1
            state.jobs[claim.id] = (claim.subject, interruption)
        }
        return interruption
    }

    /// Claims so far; nil while one is being made: then a row may be this process's without being among its jobs.
    var settledClaims: UInt64? { state.withLock { $0.claiming == 0 ? $0.claims : nil } }

    func end(_ id: JobID) { _ = state.withLock { $0.jobs.removeValue(forKey: id) } }

    func interrupt(_ subject: String) {
        let bell = state.withLock { state in state.jobs.first { $0.value.subject == subject }?.value.interruption }
        bell?.ring()
    }
}

/// Turns of one queue that are free in this process.
final class JobSlots: Sendable {
    private let free: Mutex<Int>

    init(_ count: Int) { free = Mutex(count) }

    func take() -> Bool {
        free.withLock { free in
            guard free > 0 else { return false }
            free -= 1
            return true
        }
    }

    func give() { free.withLock { $0 += 1 } }
}
