import Base
import Synchronization

/// The earliest deadline that is known, so that the loop which keeps them sleeps until then and no shorter.
final class DeadlineWatch: Sendable {
    private let earliest = Mutex<Timestamp?>(nil)
    let bell = Wakeup()

    func note(_ deadlineAt: Timestamp) {
        let isEarlier = earliest.withLock { earliest in
            if let known = earliest, known <= deadlineAt { return false }
            earliest = deadlineAt
            return true
        }
        if isEarlier { bell.ring() }
    }

    func reset(to deadlineAt: Timestamp?) { earliest.withLock { $0 = deadlineAt } }
}

/// What is being assigned just now, so that the next round does not take it up as well.
final class InFlight: Sendable {
    private let ids = Mutex<Set<ExecutionID>>([])

    func begin(_ id: ExecutionID) -> Bool { ids.withLock { $0.insert(id).inserted } }
    func end(_ id: ExecutionID) { _ = ids.withLock { $0.remove(id) } }
    var count: Int { ids.withLock(\.count) }
    func contains(_ id: ExecutionID) -> Bool { ids.withLock { $0.contains(id) } }
}
