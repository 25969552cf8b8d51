import Base
import Database
import Domain
import Environments
import Synchronization

/// A provider whose calls fail as the dice fall: before anything was done, or after, so that only the answer is lost.
final class WalkProvider: InstanceProviding {
    struct Instance: Sendable {
        var number: Int64?
        var condition: InstanceCondition
    }

    private struct State {
        var instances: [EnvironmentID: Instance] = [:]
        var isCalm = false
        var calls = 0
        var faults = 0
    }

    private let state = Mutex(State())
    private let dice: any Randomness

    init(dice: any Randomness) { self.dice = dice }

    var instances: [EnvironmentID: Instance] { state.withLock { $0.instances } }
    var faults: Int { state.withLock { $0.faults } }
    func setCalm(_ isCalm: Bool) { state.withLock { $0.isCalm = isCalm } }

    /// It ends by itself, or is gone with its files.
    func hurt(_ id: EnvironmentID, vanishing: Bool) {
        state.withLock { state in
            if vanishing { state.instances[id] = nil } else { state.instances[id]?.condition = .stopped }
        }
    }

    private func call(_ name: String, _ change: (inout State) throws -> Void) throws {
        let roll = Int(dice.fraction() * 100)
        try state.withLock { state in
            state.calls += 1
            let fails = !state.isCalm && roll < 15
            if fails { state.faults += 1 }
            let error = BerthError(
                roll == 0 ? .imageUnavailable : .unavailable,
                "the provider broke at \(name)",
                detail: "E_BROKEN"
            )
            if fails, roll < 10 { throw error }
            try change(&state)
            if fails { throw error }
        }
    }

    func capabilities(of provider: ProviderKind) throws(BerthError) -> ProviderCapabilities {
        ProviderCapabilities(
            isolation: .namespaces,
            limits: .cgroup2,
            diskCap: true,
            pause: .freeze,
            networks: [.none, .open],
            limitations: []
        )
    }

    func create(_ environment: EnvironmentRecord) async throws -> [String] {
        try call("create") { state in
            if state.instances[environment.id] == nil {
                state.instances[environment.id] = Instance(number: nil, condition: .stopped)
            }
        }
        return []
    }

    func start(_ environment: EnvironmentRecord, token: Secret<String>) async throws {
        try call("start") { state in
            guard state.instances[environment.id] != nil else { throw Self.unknown }
            state.instances[environment.id] = Instance(number: environment.instance, condition: .running)
        }
    }

    private func move(_ name: String, _ environment: EnvironmentRecord, to condition: InstanceCondition) throws {
        try call(name) { state in
            guard let known = state.instances[environment.id] else { throw Self.unknown }
            guard condition == .stopped || known.condition != .stopped else {
                throw BerthError(.conflict, "it does not run")
            }
            state.instances[environment.id]?.condition = condition
        }
    }

    func pause(_ environment: EnvironmentRecord) async throws { try move("pause", environment, to: .paused) }
    func resume(_ environment: EnvironmentRecord) async throws { try move("resume", environment, to: .running) }

    func stop(_ environment: EnvironmentRecord) async throws {
        try call("stop") { $0.instances[environment.id]?.condition = .stopped }
    }

    func destroy(_ environment: EnvironmentRecord) async throws {
        try call("destroy") { $0.instances[environment.id] = nil }
    }

    func inspect(_ environment: EnvironmentRecord) async throws -> ObservedInstance {
        let known = instances[environment.id]
        return ObservedInstance(
            environmentID: environment.id,
            instance: known?.number,
            condition: known?.condition ?? .absent
        )
    }

    func list(_ provider: ProviderKind) async throws -> [ObservedInstance] {
        instances.sorted { $0.key < $1.key }.map {
            ObservedInstance(environmentID: $0.key, instance: $0.value.number, condition: $0.value.condition)
        }
    }

    func providers() -> [ProviderKind] { [.local] }
    func template(of provider: ProviderKind) -> String { "" }

    func snapshot(_ environment: EnvironmentRecord, as snapshot: SnapshotID) async throws { throw Self.unable }
    func restore(_ environment: EnvironmentRecord, to snapshot: SnapshotID) async throws { throw Self.unable }
    func removeSnapshot(_ snapshot: SnapshotID, of provider: ProviderKind) async throws { throw Self.unable }
    private static let unable = BerthError(.unsupported, "the provider of the walk keeps nothing")

    func removeOrphan(_ instance: ObservedInstance) async throws {
        try call("removeOrphan") { $0.instances[instance.environmentID] = nil }
    }

    private static let unknown = BerthError(.notFound, "the provider does not know it")
}

/// The workers of a walk: ready when the walk says so.
final class WalkWorkers: WorkerAdmission {
    private let ready = Mutex<[EnvironmentID: Int64]>([:])

    func say(_ environment: EnvironmentID, isReady number: Int64?) { ready.withLock { $0[environment] = number } }

    func issueToken(organization: OrganizationID, owner: UserID?, environment: EnvironmentID, instance: Int64)
        async throws -> Secret<String>
    { Secret("token") }

    func revoke(organization: OrganizationID, owner: UserID?, environment: EnvironmentID, upTo instance: Int64)
        async throws
    { ready.withLock { ready in if ready[environment] ?? 0 <= instance { ready[environment] = nil } } }

    func setDraining(_ isDraining: Bool, environment: EnvironmentID) {}
    func isReady(environment: EnvironmentID, instance: Int64) -> Bool {
        ready.withLock { $0[environment] == instance }
    }
    func setNetwork(_ policy: NetworkPolicy, environment: EnvironmentID, instance: Int64) async {}
    func claim(environment: EnvironmentID, instance: Int64, within limit: Duration) async throws {}
    func hand(
        _ environment: EnvironmentID,
        to organization: OrganizationID,
        owner: UserID?,
        in connection: any SQLConnection
    ) throws {}
    func handed(_ environment: EnvironmentID, instance: Int64, to organization: OrganizationID, owner: UserID?) async {}
    func heldCount(in environment: EnvironmentID) -> Int { 0 }
    func look(environment: EnvironmentID, instance: Int64) async -> Bool { false }
}

/// Nothing runs in the environments of a walk.
struct WalkObserver: EnvironmentObserver {
    func environmentEnded(
        _ environment: EnvironmentID,
        organization: OrganizationID,
        instance: Int64,
        _ reason: FailureReason
    ) async throws {}
    func openCount(in environment: EnvironmentID, organization: OrganizationID) async throws -> Int { 0 }
    func environmentChanged(_ environment: EnvironmentID, organization: OrganizationID) async {}
}
