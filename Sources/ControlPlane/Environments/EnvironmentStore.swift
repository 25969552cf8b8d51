import Base
import Database
import Domain
import FoundationEssentials

struct StoredEnvironment: Sendable {
    var record: EnvironmentRecord
    var machine: EnvironmentMachine
}

/// The rows of `environments`.
enum EnvironmentStore {
    static let columns: SQL = """
        SELECT id, organization_id, owner_id, name, kind, spec, desired_state, observed_state, state_message, state_cause,
            instance, provider_instance_id, limits_enforced, limitations, created_at, state_entered_at, deadline_at,
            last_health_check_at, last_active_at, auto_stop_minutes, idle_stop_minutes, rest_evidence,
            requested, expires_at, is_counted, promised_bytes, health, version, replica_id, spare_key, hostname,
            origin_snapshot_id, restore_snapshot_id
        FROM environments
        """
    static let byID: SQL =
        columns + """
             WHERE id = $1 AND organization_id = $2
            """
    static let byName: SQL =
        columns + """
             WHERE organization_id = $1 AND owner_id = $2 AND name = $3 AND deleted_at IS NULL
            """
    static let personal: SQL =
        columns + """
             WHERE organization_id = $1 AND owner_id = $2 AND kind = 'personal' AND deleted_at IS NULL
            """
    static let list: SQL =
        columns + """
             WHERE organization_id = $1 AND (CAST($2 AS TEXT) IS NULL OR owner_id IS NULL OR owner_id = $2)
                AND deleted_at IS NULL AND spare_key IS NULL AND id > $3
            ORDER BY id LIMIT $4
            """
    static let insert: SQL = """
        INSERT INTO environments
            (id, organization_id, owner_id, name, kind, provider, spec, desired_state, observed_state, limits_enforced,
             limitations, created_at, state_entered_at, deadline_at, auto_stop_minutes, replica_id, idle_stop_minutes,
             requested, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
        """
    /// The fence is in the statement: version and instance as they were read.
    static let update: SQL = """
        UPDATE environments
        SET desired_state = $5, observed_state = $6, state_message = $7, state_cause = $8, instance = $9,
            provider_instance_id = $10, state_entered_at = $11, deadline_at = $12, deleted_at = $13,
            limitations = COALESCE($14, limitations),
            rest_evidence = CASE WHEN $5 = 'running' THEN NULL ELSE rest_evidence END,
            origin_snapshot_id = CASE WHEN CAST($10 AS TEXT) IS NULL THEN origin_snapshot_id ELSE NULL END,
            restore_snapshot_id = CASE WHEN $6 = 'running' THEN NULL ELSE restore_snapshot_id END, version = version + 1
        WHERE id = $1 AND organization_id = $2 AND version = $3 AND instance = $4
        """
    static let checked: SQL = "UPDATE environments SET last_health_check_at = $2, health = $3 WHERE id = $1"
    /// Never earlier than what is known.
    static let used: SQL = """
        UPDATE environments SET last_active_at = $2 WHERE id = $1 AND (last_active_at IS NULL OR last_active_at < $2)
        """
    /// Parameters: organization, holder (a user's or the organization's id), minutes.
    static let setIdleStop: SQL = """
        UPDATE environments SET idle_stop_minutes = $3
        WHERE organization_id = $1 AND COALESCE(owner_id, organization_id) = $2 AND deleted_at IS NULL
        """
    static let extend: SQL = "UPDATE environments SET expires_at = $2, version = version + 1 WHERE id = $1"
    static let lapsed: SQL =
        columns + """
             WHERE deleted_at IS NULL AND expires_at IS NOT NULL AND expires_at <= $2 AND desired_state <> 'destroyed'
                AND (replica_id = $1 OR replica_id IS NULL) ORDER BY id
            """
    /// Of every organization of this server.
    static let ages: SQL = """
        SELECT observed_state, COUNT(*) AS count, MIN(state_entered_at) AS since FROM environments
        WHERE deleted_at IS NULL AND (replica_id = $1 OR replica_id IS NULL) GROUP BY observed_state ORDER BY observed_state
        """
    static let rested: SQL = "UPDATE environments SET rest_evidence = $2 WHERE id = $1"
    static let pausedTooLong: SQL =
        columns + """
             WHERE deleted_at IS NULL AND observed_state = 'paused' AND desired_state = 'paused'
                AND (replica_id = $1 OR replica_id IS NULL)
                AND COALESCE(last_active_at, state_entered_at) + CAST(idle_stop_minutes AS BIGINT) * 60000 <= $2
            ORDER BY id
            """
    static let rests: SQL = """
        SELECT payload FROM events WHERE organization_id = $1 AND subject = $2 AND type = $3 ORDER BY seq DESC LIMIT 10
        """
    /// minutes: the longest that one of its workspaces wishes to go unused; others: how many wish nothing.
    static let autoStopWishes: SQL = """
        SELECT MAX(auto_stop_minutes) AS minutes, COUNT(*) - COUNT(auto_stop_minutes) AS others FROM workspaces
        WHERE environment_id = $1 AND status <> 'FAILED' AND custody = 'owned' AND deleted_at IS NULL
        """
    /// What was made before servers had names, or by the one server of a file before its data directory was put back.
    static let adopt: SQL = """
        UPDATE environments SET replica_id = $1 WHERE replica_id IS NULL OR replica_id <> $1
        """
    /// The first server that takes its job has it on its machine.
    static let place: SQL = "UPDATE environments SET replica_id = $2 WHERE id = $1 AND replica_id IS NULL"
    /// What the reconciler looks at: everything under way or wanted otherwise, and what should be there; of one server,
    /// because an instance lives on its machine.
    static let unsettled: SQL =
        columns + """
             WHERE deleted_at IS NULL AND observed_state <> 'error' AND desired_state <> observed_state
                AND (replica_id = $1 OR replica_id IS NULL) ORDER BY id
            """
    static let doomed: SQL =
        columns + """
             WHERE deleted_at IS NULL AND observed_state = 'error' AND desired_state = 'destroyed'
                AND (replica_id = $1 OR replica_id IS NULL) ORDER BY id
            """
    static let inspected: SQL =
        columns + """
             WHERE deleted_at IS NULL AND observed_state IN ('running', 'paused', 'starting', 'stopped')
                AND replica_id = $1 ORDER BY id
            """
    static let fate: SQL = "SELECT deleted_at, replica_id FROM environments WHERE id = $1"
    static let facts: SQL = """
        SELECT seq, type, payload, actor_id, recorded_at FROM events
        WHERE organization_id = $1 AND subject = $2 ORDER BY seq DESC LIMIT $3
        """

    /// For the test that prepares every statement.
    static let statements = [
        byID, byName, personal, list, insert, update, checked, adopt, place, unsettled, doomed, inspected, fate, facts,
        used, setIdleStop, extend, lapsed, ages, rested, pausedTooLong, rests,
        autoStopWishes,
    ]

    private static let specs = JSONMemo<EnvironmentSpec>()
    private static let limitations = JSONMemo<[String]>()

    static func stored(_ row: Row, times: EnvironmentTimes) throws -> StoredEnvironment {
        let cause: StoredCause? = try row.optionalText("state_cause").map {
            try JSONDecoder().decode(StoredCause.self, from: Data($0.utf8))
        }
        let state: EnvironmentState = try row.value("observed_state")
        var record = EnvironmentRecord(
            id: try row.id("id"),
            organizationID: try row.id("organization_id"),
            ownerID: try row.optionalID("owner_id"),
            name: try row.text("name"),
            ownership: try row.value("kind"),
            spec: try specs.value(of: try row.text("spec")),
            desired: try row.value("desired_state"),
            state: state,
            operation: nil,
            message: try row.optionalText("state_message"),
            cause: cause?.cause,
            instance: try row.integer("instance"),
            isProvisioned: try row.optionalText("provider_instance_id") != nil,
            limitsEnforced: try row.optionalValue("limits_enforced"),
            limitations: try limitations.value(of: try row.text("limitations")),
            createdAt: try row.timestamp("created_at"),
            stateEnteredAt: try row.timestamp("state_entered_at"),
            deadlineAt: try row.optionalTimestamp("deadline_at"),
            lastHealthCheckAt: try row.optionalTimestamp("last_health_check_at"),
            lastActiveAt: try row.optionalTimestamp("last_active_at"),
            autoStopMinutes: try row.optionalInt("auto_stop_minutes"),
            idleStopMinutes: try row.optionalInt("idle_stop_minutes"),
            requested: try row.optionalText("requested").map {
                try JSONDecoder().decode(ResourceLimits.self, from: Data($0.utf8))
            },
            expiresAt: try row.optionalTimestamp("expires_at"),
            isCounted: try row.bool("is_counted"),
            promisedBytes: try row.integer("promised_bytes"),
            health: try row.optionalText("health").map {
                try JSONDecoder().decode(EnvironmentHealth.self, from: Data($0.utf8))
            },
            rest: try row.optionalText("rest_evidence").map {
                try JSONDecoder().decode(IdleEvidence.self, from: Data($0.utf8))
            },
            version: try row.integer("version"),
            replicaID: try row.optionalID("replica_id"),
            spareKey: try row.optionalText("spare_key"),
            hostname: try row.optionalText("hostname"),
            originSnapshotID: try row.optionalID("origin_snapshot_id"),
            restoreSnapshotID: try row.optionalID("restore_snapshot_id"),
            allowed: []
        )
        let machine = EnvironmentMachine(
            status: status(record, cause),
            desired: record.desired,
            instance: record.instance,
            isProvisioned: record.isProvisioned,
            times: times
        )
        record.operation = machine.operation
        record.allowed = machine.allowed
        return StoredEnvironment(record: record, machine: machine)
    }

    private static func status(_ record: EnvironmentRecord, _ stored: StoredCause?) -> EnvironmentMachine.Status {
        // A transitional state without a deadline is overdue at once, which ends in an error that can be retried.
        let deadlineAt = record.deadlineAt ?? record.stateEnteredAt
        return switch record.state {
        case .requested: .requested(deadlineAt: deadlineAt)
        case .provisioning: .provisioning(deadlineAt: deadlineAt)
        case .starting: .starting(stored?.operation ?? .start, deadlineAt: deadlineAt)
        case .running: .running
        case .pausing: .pausing(deadlineAt: deadlineAt)
        case .paused: .paused
        case .stopping: .stopping(deadlineAt: deadlineAt)
        case .stopped: .stopped
        case .destroying: .destroying(deadlineAt: deadlineAt)
        case .destroyed: .destroyed
        case .error:
            .error(record.cause ?? EnvironmentCause(.provision, .internal, "the cause was not recorded"))
        }
    }

    /// Writes what changed, fenced by what was read. Throws `MovedRow`.
    static func write(
        _ machine: EnvironmentMachine,
        over old: StoredEnvironment,
        message: String?,
        limitations: [String]?,
        at now: Timestamp,
        in connection: any SQLConnection
    ) throws {
        var cause: StoredCause?
        if case .error(let known) = machine.status { cause = StoredCause(cause: known) }
        if case .starting(let operation, _) = machine.status { cause = StoredCause(operation: operation) }
        let record = old.record
        let changed = try connection.run(
            update,
            record.id,
            record.organizationID,
            record.version,
            old.machine.instance,
            machine.desired.rawValue,
            machine.state.rawValue,
            machine.cause?.message ?? message,
            try cause.map(text),
            machine.instance,
            machine.isProvisioned ? record.id.text : nil,
            machine.state == record.state ? record.stateEnteredAt : now,
            machine.deadlineAt,
            machine.state == .destroyed ? now : nil,
            try limitations.map(text)
        )
        guard changed == 1 else { throw MovedRow("environment \(record.id)") }
    }

    static func text(_ value: some Encodable) throws -> String {
        try JSONColumn.text(value)
    }
}

/// The column `state_cause`: why it is in error, or which operation `starting` stands for.
struct StoredCause: Codable {
    var cause: EnvironmentCause?
    var operation: EnvironmentOperation?
}
