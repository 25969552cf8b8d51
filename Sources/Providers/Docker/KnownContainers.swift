internal import Base
internal import Synchronization

/// Which container is an incarnation's, as far as it was seen. Every incarnation has another id, so a call that names one
/// is fenced by itself and needs no look before it. Where nothing is known, the Engine is asked.
final class KnownContainers: Sendable {
    private let ids = Mutex<[EnvironmentID: (instance: Int64, id: String)]>([:])

    func note(_ instance: InstanceReference, _ id: String) {
        ids.withLock { $0[instance.environmentID] = (instance.instance, id) }
    }

    func id(of instance: InstanceReference) -> String? {
        ids.withLock { $0[instance.environmentID] }.flatMap { $0.instance == instance.instance ? $0.id : nil }
    }

    func forget(_ environment: EnvironmentID) { _ = ids.withLock { $0.removeValue(forKey: environment) } }
}
