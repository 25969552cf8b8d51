import Base
import Domain
import Environments

// Machines that wait for whoever asks for one.
extension Composition {
    /// nil where none do. Of sizes as tiers grant them on this machine.
    /// - Throws: `unsupported` for a provider that this server does not have.
    static func spares(
        _ configuration: Configuration,
        _ house: ProviderHouse,
        _ principal: Principal
    ) throws(BerthError) -> SpareConfiguration? {
        guard configuration.role.runsJobs else { return nil }
        var templates: [SpareTemplate] = []
        if configuration.warmSpares > 0 {
            templates.append(SpareTemplate(spec: house.spec(configuration), count: configuration.warmSpares))
        }
        for entry in try configuration.warmPool where entry.count > 0 {
            _ = try house.capabilities(of: entry.provider)
            let spec = house.spec(
                configuration,
                provider: entry.provider,
                limits: entry.flavour?.limits,
                image: entry.image
            )
            templates.append(SpareTemplate(spec: spec, count: entry.count))
        }
        guard !templates.isEmpty else { return nil }
        if let machine = try configuration.capacity().machine {
            for index in templates.indices {
                templates[index].spec.limits = templates[index].spec.limits.capped(by: machine)
            }
        }
        return SpareConfiguration(
            organizationID: principal.organizationID,
            userID: principal.userID,
            templates: templates
        )
    }
}

extension ProviderHouse {
    /// What an environment is where nothing, or only this, was asked for.
    func spec(
        _ configuration: Configuration,
        provider: ProviderKind? = nil,
        limits: ResourceLimits? = nil,
        policy: LimitsPolicy? = nil,
        network: NetworkPolicy? = nil,
        image: String? = nil
    ) -> EnvironmentSpec {
        let kind = provider ?? configuration.provider
        // Where nothing was asked for, what this machine can: an ordinary user may have no network to give, which the
        // environment's limitations then say.
        let networks = (try? capabilities(of: kind).networks) ?? [.open]
        return EnvironmentSpec(
            provider: kind,
            limits: limits ?? .standard,
            limitsPolicy: policy ?? .bestEffort,
            network: network ?? (networks.contains(.open) ? .open : .none),
            image: image
        )
    }
}
