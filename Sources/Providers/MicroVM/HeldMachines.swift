internal import Base
internal import Synchronization

/// Machines that ran and are held only until they are kept: to everybody else they run.
final class HeldMachines: Sendable {
    private let environments = Mutex<Set<EnvironmentID>>([])

    func begin(_ environment: EnvironmentID) { _ = environments.withLock { $0.insert(environment) } }
    func end(_ environment: EnvironmentID) { _ = environments.withLock { $0.remove(environment) } }
    func contains(_ environment: EnvironmentID) -> Bool { environments.withLock { $0.contains(environment) } }
}
