import Base
import Domain
import Environments
import Synchronization

/// A provider that keeps its instances in memory and breaks when told to.
final class FakeInstances: InstanceProviding {
    struct Instance: Sendable {
        var number: Int64?
        var condition: InstanceCondition
        /// How it ended.
        var words: String?
    }

    struct State: Sendable {
        var instances: [EnvironmentID: Instance] = [:]
        var tokens: [EnvironmentID: Secret<String>] = [:]
        var calls: [String] = []
        /// The next calls of these names fail.
        var failing: [String: Int] = [:]
        /// Calls of these names wait until they are released or cancelled.
        var hanging: [String: Wakeup] = [:]
        var limitations: [String] = []
        var template = "first"
        var canSnapshot = false
        var snapshots: Set<SnapshotID> = []
        /// What was made out of which snapshot, or has gone back to it.
        var origins: [EnvironmentID: SnapshotID] = [:]
    }

    let state = Mutex(State())
    /// Rings at every call.
    let called = Wakeup()
    /// Called when an instance has started: the worker connects.
    let started: @Sendable (EnvironmentRecord, Secret<String>) async throws -> Void

    init(started: @escaping @Sendable (EnvironmentRecord, Secret<String>) async throws -> Void = { _, _ in }) {
        self.started = started
    }

    var calls: [String] { state.withLock { $0.calls } }
    func condition(_ id: EnvironmentID) -> InstanceCondition? { state.withLock { $0.instances[id]?.condition } }
    func fail(_ call: String, times: Int = 1) { state.withLock { $0.failing[call] = times } }
    func hang(_ call: String) { state.withLock { $0.hanging[call] = Wakeup() } }
    func release(_ call: String) { state.withLock { $0.hanging.removeValue(forKey: call) }?.ring() }
    func set(_ id: EnvironmentID, _ condition: InstanceCondition?) {
        state.withLock { state in
            if let condition { state.instances[id]?.condition = condition } else { state.instances[id] = nil }
        }
    }

    func end(_ id: EnvironmentID, _ words: String) {
        state.withLock { state in
            state.instances[id]?.condition = .stopped
            state.instances[id]?.words = words
        }
    }

    private func call(_ name: String, _ change: @Sendable (inout State) -> Void = { _ in }) async throws {
        let (fails, hangs) = state.withLock { state -> (Bool, Wakeup?) in
            state.calls.append(name)
            let left = state.failing[name] ?? 0
            if left > 0 { state.failing[name] = left - 1 }
            return (left > 0, state.hanging[name])
        }
        called.ring()
        try await hangs?.wait(after: 0)
        if fails { throw BerthError(.unavailable, "the provider broke at \(name)", detail: "E_BROKEN: \(name)") }
        state.withLock { change(&$0) }
        called.ring()
    }

    func capabilities(of provider: ProviderKind) throws(BerthError) -> ProviderCapabilities {
        guard provider == .local else {
            throw BerthError(.unsupported, "there is no provider '\(provider)'", field: "provider")
        }
        let (limitations, canSnapshot) = state.withLock { ($0.limitations, $0.canSnapshot) }
        return ProviderCapabilities(
            isolation: .namespaces,
            limits: limitations.isEmpty ? .cgroup2 : .rlimit,
            diskCap: true,
            pause: .freeze,
            networks: [.none, .open],
            snapshots: canSnapshot,
            limitations: limitations
        )
    }

    func create(_ environment: EnvironmentRecord) async throws -> [String] {
        try await call(environment.originSnapshotID == nil ? "create" : "fork") { state in
            if let origin = environment.originSnapshotID { state.origins[environment.id] = origin }
            if state.instances[environment.id] == nil {
                state.instances[environment.id] = Instance(number: nil, condition: .stopped)
            }
        }
        return []
    }

    func start(_ environment: EnvironmentRecord, token: Secret<String>) async throws {
        try await call("start") { state in
            state.instances[environment.id] = Instance(number: environment.instance, condition: .running)
            state.tokens[environment.id] = token
        }
        try await started(environment, token)
    }

    func pause(_ environment: EnvironmentRecord) async throws {
        try await call("pause") { $0.instances[environment.id]?.condition = .paused }
    }

    func resume(_ environment: EnvironmentRecord) async throws {
        try await call("resume") { $0.instances[environment.id]?.condition = .running }
    }

    func stop(_ environment: EnvironmentRecord) async throws {
        try await call("stop") { $0.instances[environment.id]?.condition = .stopped }
    }

    func destroy(_ environment: EnvironmentRecord) async throws {
        try await call("destroy") { $0.instances[environment.id] = nil }
    }

    func inspect(_ environment: EnvironmentRecord) async throws -> ObservedInstance {
        let known = state.withLock { $0.instances[environment.id] }
        return ObservedInstance(
            environmentID: environment.id,
            instance: known?.number,
            condition: known?.condition ?? .absent,
            words: known?.words
        )
    }

    func list(_ provider: ProviderKind) async throws -> [ObservedInstance] {
        state.withLock { state in
            state.instances.sorted { $0.key < $1.key }.map {
                ObservedInstance(environmentID: $0.key, instance: $0.value.number, condition: $0.value.condition)
            }
        }
    }

    func providers() -> [ProviderKind] { [.local] }

    func template(of provider: ProviderKind) -> String { state.withLock { $0.template } }

    func snapshot(_ environment: EnvironmentRecord, as snapshot: SnapshotID) async throws {
        try await call("snapshot") { $0.snapshots.insert(snapshot) }
    }

    func restore(_ environment: EnvironmentRecord, to snapshot: SnapshotID) async throws {
        guard state.withLock({ $0.snapshots.contains(snapshot) }) else {
            throw BerthError(.notFound, "there is no snapshot \(snapshot)")
        }
        try await call("restore") { $0.origins[environment.id] = snapshot }
    }

    func removeSnapshot(_ snapshot: SnapshotID, of provider: ProviderKind) async throws {
        try await call("removeSnapshot") { $0.snapshots.remove(snapshot) }
    }

    func removeOrphan(_ instance: ObservedInstance) async throws {
        try await call("removeOrphan") { $0.instances[instance.environmentID] = nil }
    }
}
