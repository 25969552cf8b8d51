import Base
import Domain
import Environments

// Machines that wait for whoever asks for one.
extension Composition {
    /// nil where none do.
    static func spares(_ configuration: Configuration, _ house: ProviderHouse, _ principal: Principal)
        -> SpareConfiguration?
    {
        guard configuration.role.runsJobs, configuration.warmSpares > 0 else { return nil }
        let spec = house.spec(configuration)
        return SpareConfiguration(
            organizationID: principal.organizationID,
            userID: principal.userID,
            templates: [SpareTemplate(spec: spec, count: configuration.warmSpares)]
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
