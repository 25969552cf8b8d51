import Base
import Domain
import Environments
import Glibc

extension ConfigurationKey {
    /// What environments may take.
    static let capacity: [ConfigurationKey] = [
        .init(
            "tier",
            .choice(Tier.all.map(\.name)),
            ["BERTH_TIER"],
            default: Tier.unlimited.name,
            "the tier of users who were given none: how many environments, how large, how long idle"
        ),
        .init(
            "memoryOvercommit",
            .integer(10...10_000),
            ["BERTH_MEMORY_OVERCOMMIT"],
            unit: "%",
            "memory that may be promised to environments, of this machine's; unset: any"
        ),
        .init(
            "maxAgentSessions",
            .integer(1...100),
            ["BERTH_MAX_AGENT_SESSIONS"],
            default: "5",
            "agent sessions of one workspace that were not stopped"
        ),
    ]
}

extension Configuration {
    /// - Throws: `invalid_value` for a tier that there is not.
    func capacity() throws(BerthError) -> CapacityRules {
        CapacityRules(
            tier: try Tier.named(text("tier") ?? Tier.unlimited.name),
            machine: role.runsJobs ? Self.machine : nil,
            memoryOvercommitPercent: text("memoryOvercommit").flatMap { Int64($0) }
        )
    }

    /// Of one workspace.
    var maximumAgentSessions: Int { Int(integer("maxAgentSessions")) }

    /// What this machine has.
    private static var machine: ResourceLimits {
        let pages = sysconf(Int32(_SC_PHYS_PAGES))
        let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        return ResourceLimits(
            cpus: processors > 0 ? Double(processors) : nil,
            memoryBytes: pages > 0 ? Int64(pages) * Int64(sysconf(Int32(_SC_PAGESIZE))) : nil
        )
    }
}
