import Base
import Domain
import Synchronization

/// Assignments whose rows are written and whose request was cancelled before they were sent: its client is gone, and a
/// cancelled task can send nothing. The dispatcher sends them.
final class LeftAssignments: Sendable {
    struct Left: Sendable {
        var key: AttemptKey
        var stored: StoredExecution
        var input: PlainInput
        var worker: WorkerCandidate
    }

    private let left = Mutex<[Left]>([])

    func add(_ assignment: Left) { left.withLock { $0.append(assignment) } }

    func takeAll() -> [Left] {
        left.withLock { left in
            defer { left = [] }
            return left
        }
    }
}
