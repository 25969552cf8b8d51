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
