import Base
import Synchronization

/// The newest version of each environment that this server wrote, to tell its own changes from others'.
final class WrittenVersions: Sendable {
    private static let capacity = 4096
    private let versions = Mutex<[EnvironmentID: Int64]>([:])

    func note(_ environment: EnvironmentID, _ version: Int64) {
        versions.withLock { versions in
            if versions.count >= Self.capacity { versions.removeAll() }
            versions[environment] = max(versions[environment] ?? 0, version)
        }
    }

    /// Whether this version, or a later one, was written here.
    func isKnown(_ environment: EnvironmentID, _ version: Int64) -> Bool {
        versions.withLock { $0[environment].map { version <= $0 } ?? false }
    }
}
