public import Base
import Database
public import Domain

// What an environment may reach, changed while it runs.
extension EnvironmentService {
    static let setSpec: SQL = """
        UPDATE environments SET spec = $4, version = version + 1 WHERE id = $1 AND organization_id = $2 AND version = $3
        """

    public func network(of id: EnvironmentID, organization: OrganizationID) async throws -> NetworkPolicy {
        try await stored(id, organization, visibleTo: nil).record.spec.network
    }

    /// At once, also for connections that are open. What the provider laid stays as it is, so an environment with the open
    /// network keeps it.
    public func setNetwork(
        _ policy: NetworkPolicy,
        _ id: EnvironmentID,
        organization: OrganizationID,
        by user: UserID,
        visibleTo: UserID?
    ) async throws -> EnvironmentRecord {
        try policy.validate()
        _ = try await get(id, organization: organization, visibleTo: visibleTo)
        let now = time.now
        let after = try await withMovingRows {
            try await feed.transaction(organization: organization) { [self] transaction -> EnvironmentRecord in
                let stored = try read(id, organization, in: transaction)
                var spec = stored.record.spec
                guard stored.record.desired != .destroyed else {
                    throw BerthError(
                        .illegalTransition,
                        "environment '\(stored.record.name)' is \(stored.record.state)",
                        remedy: "create another environment"
                    )
                }
                guard policy.provided == spec.network.provided else {
                    throw BerthError(
                        .unsupported,
                        "the network '\(spec.network.kind.rawValue)' of '\(stored.record.name)' was laid when it was made, "
                            + "and cannot become '\(policy.kind.rawValue)'",
                        field: "kind",
                        remedy: "'none' and 'allow' may change into each other; make another environment for 'open' or "
                            + "other host ports"
                    )
                }
                guard policy != spec.network else { return stored.record }
                spec.network = policy
                let text = try EnvironmentStore.text(spec)
                let changed = try transaction.run(Self.setSpec, id, organization, stored.record.version, text)
                guard changed == 1 else { throw MovedRow("environment \(id)") }
                let record = try read(id, organization, in: transaction).record
                let names = policy.allow.map(\.description).joined(separator: ", ")
                try provisioningLog.add(
                    .info,
                    "may reach \(policy.kind == .allow ? names.isEmpty ? "no name" : names : "nothing")",
                    to: id,
                    in: transaction
                )
                transaction.record(try Self.fact("environment.changed", record, by: user, at: now))
                return record
            }
            .value
        }
        await workers.setNetwork(policy, environment: id, instance: after.instance)
        await tell(after)
        return after
    }
}
