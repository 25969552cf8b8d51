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
    /// Whether a cancel came in the meantime.
    private let cancels = Mutex<[ExecutionID: Bool]>([:])

    func begin(_ id: ExecutionID) -> Bool {
        cancels.withLock { cancels in
            guard cancels[id] == nil else { return false }
            cancels[id] = false
            return true
        }
    }

    func end(_ id: ExecutionID) { cancels.withLock { $0[id] = nil } }
    var count: Int { cancels.withLock(\.count) }
    func contains(_ id: ExecutionID) -> Bool { cancels.withLock { $0[id] != nil } }

    func noteCancel(_ id: ExecutionID) {
        cancels.withLock { cancels in if cancels[id] != nil { cancels[id] = true } }
    }

    func wasCancelled(_ id: ExecutionID) -> Bool { cancels.withLock { $0[id] ?? false } }
}
