import Base
import Synchronization

/// Instances that no row knows, of which the log was told.
final class ReportedOrphans: Sendable {
    private let known = Mutex<Set<EnvironmentID>>([])

    /// Whether this one was not told of before.
    func isNew(_ id: EnvironmentID) -> Bool { known.withLock { $0.insert(id).inserted } }
}
