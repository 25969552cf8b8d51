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

    func capabilities(of provider: ProviderKind) throws(BerthError) -> ProviderCapabilities {
        try find(provider).capabilities
    }

    func create(_ environment: EnvironmentRecord) async throws -> [String] {
        let description = try await describe(environment)
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
        try await find(environment.spec.provider).create(
            InstanceRequest(
                environmentID: environment.id,
                label: Self.label,
                limits: environment.spec.limits,
                limitsPolicy: environment.spec.limitsPolicy,
                network: environment.spec.network,
                hostname: environment.name,
                image: environment.spec.image
            )
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
