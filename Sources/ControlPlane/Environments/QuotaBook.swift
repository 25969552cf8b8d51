import Base
import Database
public import Domain

/// What environments may be made by default, and on this server's machine.
public struct CapacityRules: Sendable {
    /// Of those who have none of their own.
    public var tier: Tier
    /// What the machine has; nil where environments are not on this server's.
    public var machine: ResourceLimits?
    /// Memory that may be promised as a multiple of the machine's, in percent; nil: any.
    public var memoryOvercommitPercent: Int64?

    public init(tier: Tier = .unlimited, machine: ResourceLimits? = nil, memoryOvercommitPercent: Int64? = nil) {
        self.tier = tier
        self.machine = machine
        self.memoryOvercommitPercent = memoryOvercommitPercent
    }
}

/// A holder's tier and how much of it is used.
public struct QuotaUsage: Sendable, Equatable {
    public var tier: Tier
    public var environments: Int
}

/// Keeps quotas: every place is taken and given back in the transaction of the change that it belongs to.
struct QuotaBook: Sendable {
    let rules: CapacityRules

    static let open: SQL = """
        INSERT INTO quotas (organization_id, holder_id) VALUES ($1, $2)
        ON CONFLICT (organization_id, holder_id) DO NOTHING
        """
    static let find: SQL = "SELECT tier, environments FROM quotas WHERE organization_id = $1 AND holder_id = $2"
    static let take: SQL = """
        UPDATE quotas SET environments = environments + 1
        WHERE organization_id = $1 AND holder_id = $2 AND (CAST($3 AS BIGINT) IS NULL OR environments < $3)
        RETURNING environments
        """
    static let give: SQL = """
        UPDATE quotas SET environments = environments - 1 WHERE organization_id = $1 AND holder_id = $2
        RETURNING environments
        """
    static let setTier: SQL = "UPDATE quotas SET tier = $3 WHERE organization_id = $1 AND holder_id = $2"
    static let openMemory: SQL = """
        INSERT INTO promised_memory (replica_id) VALUES ($1) ON CONFLICT (replica_id) DO NOTHING
        """
    static let takeMemory: SQL = """
        UPDATE promised_memory SET bytes = bytes + $2
        WHERE replica_id = $1 AND (CAST($3 AS BIGINT) IS NULL OR bytes + $2 <= $3) RETURNING bytes
        """
    static let giveMemory: SQL = """
        UPDATE promised_memory SET bytes = bytes - $2 WHERE replica_id = $1 RETURNING bytes
        """
    static let count: SQL = "UPDATE environments SET is_counted = $2, promised_bytes = $3 WHERE id = $1"
    static let statements = [open, find, take, give, setTier, openMemory, takeMemory, giveMemory, count]

    func usage(_ organization: OrganizationID, _ holder: String, in connection: any SQLConnection) throws -> QuotaUsage
    {
        guard let row = try connection.first(Self.find, organization, holder) else {
            return QuotaUsage(tier: rules.tier, environments: 0)
        }
        let tier = try row.optionalText("tier").map { try Tier.named($0) } ?? rules.tier
        return QuotaUsage(tier: tier, environments: try row.int("environments"))
    }

    /// Throws `quota_exceeded`, naming what is full; then nothing of the transaction stays.
    func reserve(_ record: EnvironmentRecord, in connection: any SQLConnection) throws {
        let (organization, holder) = (record.organizationID, record.holder)
        try connection.run(Self.open, organization, holder)
        let tier = try usage(organization, holder, in: connection).tier
        guard try connection.first(Self.take, organization, holder, tier.maximumEnvironments) != nil else {
            let limit = tier.maximumEnvironments ?? 0
            throw BerthError(
                .quotaExceeded,
                "tier '\(tier.name)' has \(limit) environment\(limit == 1 ? "" : "s"), and all of them exist",
                field: "environments",
                remedy: "use one of those, destroy one with 'berth env destroy', or ask for another tier"
            )
        }
        let bytes = record.spec.limits.memoryBytes ?? 0
        if let replica = record.replicaID { try promise(bytes, on: replica, in: connection) }
        try connection.run(Self.count, record.id, 1, record.replicaID == nil ? 0 : bytes)
    }

    private func promise(_ bytes: Int64, on replica: ReplicaID, in connection: any SQLConnection) throws {
        var limit: Int64?
        if let percent = rules.memoryOvercommitPercent, let memory = rules.machine?.memoryBytes {
            limit = Int64(Double(memory) * Double(percent) / 100)
        }
        try connection.run(Self.openMemory, replica)
        guard try connection.first(Self.takeMemory, replica, bytes, limit) != nil else {
            throw BerthError(
                .quotaExceeded,
                "the machine's memory is promised to other environments (memoryOvercommit)",
                field: "limits.memoryBytes",
                remedy: "ask for less memory, destroy an environment, or raise the setting memoryOvercommit"
            )
        }
    }

    func release(_ record: EnvironmentRecord, in connection: any SQLConnection) throws {
        _ = try connection.first(Self.give, record.organizationID, record.holder)
        if let replica = record.replicaID, record.promisedBytes > 0 {
            _ = try connection.first(Self.giveMemory, replica, record.promisedBytes)
        }
        try connection.run(Self.count, record.id, 0, 0)
    }

    /// With the change of a row's state.
    func follow(_ record: EnvironmentRecord, to state: EnvironmentState, in connection: any SQLConnection) throws {
        // A spare takes a place when somebody takes it.
        guard record.spareKey == nil else { return }
        if record.isCounted, !state.counts { try release(record, in: connection) }
        if !record.isCounted, state.counts { try reserve(record, in: connection) }
    }
}

extension EnvironmentRecord {
    /// Whose quota it takes a place of.
    var holder: String { ownerID?.text ?? organizationID.text }
}
