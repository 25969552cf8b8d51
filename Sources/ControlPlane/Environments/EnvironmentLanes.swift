import Base
import Synchronization

/// Which environments have work, and which have a task at it: one task per environment, never two. Waking one that is
/// busy makes its task look again when it is done.
final class EnvironmentLanes: Sendable {
    struct Ticket: Sendable {
        let id: EnvironmentID
        let organization: OrganizationID
        /// Rung to break into a provider call.
        let interruption: Wakeup
    }

    private struct State {
        var waiting: [(EnvironmentID, OrganizationID)] = []
        var busy: [EnvironmentID: Wakeup] = [:]
        var again: Set<EnvironmentID> = []
        var orphans: Set<EnvironmentID> = []
    }

    private let state = Mutex(State())
    let bell = Wakeup()

    func wake(_ id: EnvironmentID, _ organization: OrganizationID, interrupting: Bool = false) {
        let interruption = state.withLock { state -> Wakeup? in
            if let interruption = state.busy[id] {
                state.again.insert(id)
                return interrupting ? interruption : nil
            }
            if !state.waiting.contains(where: { $0.0 == id }) { state.waiting.append((id, organization)) }
            return nil
        }
        interruption?.ring()
        bell.ring()
    }

    /// The environments to start a task for, in the order in which they were woken.
    func take() -> [Ticket] {
        state.withLock { state in
            let tickets = state.waiting.map { Ticket(id: $0.0, organization: $0.1, interruption: Wakeup()) }
            for ticket in tickets { state.busy[ticket.id] = ticket.interruption }
            state.waiting = []
            return tickets
        }
    }

    /// The task has nothing left to do. Returns false when it was woken meanwhile and must look again.
    func finish(_ ticket: Ticket) -> Bool {
        state.withLock { state in
            if state.again.remove(ticket.id) != nil { return false }
            state.busy[ticket.id] = nil
            return true
        }
    }

    /// Whether this one was not told of before.
    func reportsOrphan(_ id: EnvironmentID) -> Bool { state.withLock { $0.orphans.insert(id).inserted } }

    func isBusy(_ id: EnvironmentID) -> Bool { state.withLock { $0.busy[id] != nil } }
}
