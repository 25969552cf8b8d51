import API
import Base
import Domain
import Environments
import Providers

/// Hands the environments' wishes to the providers, and opens the socket through which their workers come.
struct ProviderHouse: InstanceProviding {
    /// What ``Providers/Provider/list(label:)`` is asked for: one data directory is one deployment.
    static let label = "berth"
    /// TERM to KILL when an instance is stopped.
    private static let stopGrace = Duration.seconds(10)

    private let all: [ProviderKind: any Provider]
    private let links: LinkSockets
    private let agents: @Sendable () -> [AgentMount]

    init(_ providers: [any Provider], links: LinkSockets, agents: @escaping @Sendable () -> [AgentMount]) {
        all = Dictionary(providers.map { ($0.kind, $0) }) { first, _ in first }
        self.links = links
        self.agents = agents
    }

    func providers() -> [ProviderKind] { all.keys.sorted { $0.rawValue < $1.rawValue } }

    func template(of provider: ProviderKind) -> String {
        let agents = agents().map { "\($0.name)=\($0.directory)" }.sorted().joined(separator: " ")
        return "\(Version.product) \(all[provider]?.template ?? "") \(agents)"
    }

    /// What environments can be made from.
    func images() -> [Image] {
        providers().compactMap { kind in
            all[kind]?.image.map { Image(name: $0.name, provider: kind, isAvailable: $0.isAvailable) }
        }
    }

    func capabilities(of provider: ProviderKind) throws(BerthError) -> ProviderCapabilities {
        try find(provider).capabilities
    }

    func create(_ environment: EnvironmentRecord) async throws -> [String] {
        let description: InstanceDescription
        if let origin = environment.originSnapshotID {
            description = try await find(environment.spec.provider).fork(origin, request(environment))
        } else {
            description = try await describe(environment)
        }
        try await links.open(environment.id, path: description.linkSocket)
        return description.limitations
    }

    func start(_ environment: EnvironmentRecord, token: Secret<String>) async throws {
        // Also after a restart of the server: the socket must be there before its worker looks for it.
        try await links.open(environment.id, path: try await describe(environment).linkSocket)
        try await find(environment.spec.provider).start(
            reference(environment),
            WorkerLaunch(token: token, agents: agents())
        )
    }

    func pause(_ environment: EnvironmentRecord) async throws {
        try await find(environment.spec.provider).pause(reference(environment))
    }

    func resume(_ environment: EnvironmentRecord) async throws {
        try await find(environment.spec.provider).resume(reference(environment))
    }

    func stop(_ environment: EnvironmentRecord) async throws {
        try await find(environment.spec.provider).stop(reference(environment), grace: Self.stopGrace)
        await links.close(environment.id)
    }

    /// Those that have an instance now; nil where a provider does not say.
    func living() async -> Set<EnvironmentID>? {
        var found: Set<EnvironmentID> = []
        for kind in providers() {
            guard let instances = try? await list(kind) else { return nil }
            for instance in instances where [.running, .paused].contains(instance.condition) {
                found.insert(instance.environmentID)
            }
        }
        return found
    }

    func destroy(_ environment: EnvironmentRecord) async throws {
        await links.close(environment.id)
        try await find(environment.spec.provider).destroy(reference(environment))
    }

    func inspect(_ environment: EnvironmentRecord) async throws -> ObservedInstance {
        do {
            return ObservedInstance(try await find(environment.spec.provider).inspect(environment.id))
        } catch let error as BerthError where error.code == .notFound {
            return ObservedInstance(environmentID: environment.id, instance: nil, condition: .absent)
        }
    }

    func list(_ provider: ProviderKind) async throws -> [ObservedInstance] {
        try await find(provider).list(label: Self.label).map { ObservedInstance($0) }
    }

    func snapshot(_ environment: EnvironmentRecord, as snapshot: SnapshotID) async throws {
        let provider = try find(environment.spec.provider)
        guard try await !provider.snapshots().contains(snapshot) else { return }
        try await provider.snapshot(reference(environment), as: snapshot)
    }

    func restore(_ environment: EnvironmentRecord, to snapshot: SnapshotID) async throws {
        try await find(environment.spec.provider).restore(environment.id, to: snapshot)
    }

    func removeSnapshot(_ snapshot: SnapshotID, of provider: ProviderKind) async throws {
        try await find(provider).removeSnapshot(snapshot)
    }

    func removeOrphan(_ instance: ObservedInstance) async throws {
        await links.close(instance.environmentID)
        for kind in providers() {
            let provider = try find(kind)
            guard (try? await provider.inspect(instance.environmentID)) != nil else { continue }
            let reference = InstanceReference(
                environmentID: instance.environmentID,
                instance: instance.instance ?? 0
            )
            try await provider.destroy(reference)
            return
        }
    }

    /// Creating again what exists only describes it.
    private func describe(_ environment: EnvironmentRecord) async throws -> InstanceDescription {
        try await find(environment.spec.provider).create(request(environment))
    }

    private func request(_ environment: EnvironmentRecord) -> InstanceRequest {
        InstanceRequest(
            environmentID: environment.id,
            label: Self.label,
            limits: environment.spec.limits,
            limitsPolicy: environment.spec.limitsPolicy,
            network: environment.spec.network.provided,
            hostname: environment.hostname ?? environment.name,
            image: environment.spec.image
        )
    }

    private func reference(_ environment: EnvironmentRecord) -> InstanceReference {
        InstanceReference(environmentID: environment.id, instance: environment.instance)
    }

    private func find(_ kind: ProviderKind) throws(BerthError) -> any Provider {
        guard let provider = all[kind] else {
            throw BerthError(
                .unsupported,
                "this server has no provider '\(kind.rawValue.prefix(40))'",
                field: "provider",
                remedy: "there are: \(providers().map(\.rawValue).joined(separator: ", "))"
            )
        }
        return provider
    }
}

extension ObservedInstance {
    init(_ observation: InstanceObservation) {
        let (condition, words): (InstanceCondition, String?) =
            switch observation.state {
            case .running: (.running, nil)
            case .paused: (.paused, nil)
            case .created: (.stopped, nil)
            case .stopped(.exited(let code, _)): (.stopped, "its holder exited with status \(code)")
            case .stopped(.killed(let signal, _)): (.stopped, "its holder was killed by signal \(signal)")
            case .stopped(.unknown): (.stopped, "it ended unseen, by a restart of the machine or by force")
            }
        self.init(
            environmentID: observation.environmentID,
            instance: observation.instance,
            condition: condition,
            words: observation.words ?? words
        )
    }
}
