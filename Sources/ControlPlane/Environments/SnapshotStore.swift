import Base
import Database
import Domain
import FoundationEssentials

/// The rows of `snapshots`.
enum SnapshotStore {
    private static let columns: SQL = """
        SELECT id, organization_id, environment_id, owner_id, instance, spec, state, is_transient, failure, created_at,
            ready_at, deadline_at, replica_id
        FROM snapshots
        """
    static let byID: SQL = columns + " WHERE id = $1"
    static let ofEnvironment: SQL = columns + " WHERE environment_id = $1 ORDER BY id DESC"
    static let newest: SQL = columns + " WHERE environment_id = $1 AND state = 'ready' ORDER BY id DESC LIMIT 1"
    static let count: SQL = "SELECT COUNT(*) AS count FROM snapshots WHERE environment_id = $1 AND is_transient = 0"
    static let insert: SQL = """
        INSERT INTO snapshots
            (id, organization_id, environment_id, owner_id, instance, spec, state, is_transient, created_at, deadline_at,
             replica_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """
    /// The fence is in the statement: the state as it was read.
    static let update: SQL = """
        UPDATE snapshots SET state = $3, failure = $4, ready_at = COALESCE($5, ready_at), deadline_at = $6
        WHERE id = $1 AND state = $2
        """
    static let end: SQL = "DELETE FROM snapshots WHERE id = $1"
    /// Their environment is gone: they go when nothing is to be made out of them any more.
    static let abandon: SQL = "UPDATE snapshots SET is_transient = 1 WHERE environment_id = $1"
    /// Environments that are to be made out of it, or to go back to it.
    static let users: SQL = """
        SELECT name FROM environments
        WHERE deleted_at IS NULL AND (origin_snapshot_id = $1 OR restore_snapshot_id = $1) ORDER BY id LIMIT 1
        """
    static let underWay: SQL = columns + " WHERE replica_id = $1 AND state IN ('making', 'removing') ORDER BY id"
    static let useless: SQL =
        columns + """
             WHERE replica_id = $1 AND is_transient = 1 AND state IN ('ready', 'failed') AND NOT EXISTS (
                SELECT 1 FROM environments e WHERE e.deleted_at IS NULL
                    AND (e.origin_snapshot_id = snapshots.id OR e.restore_snapshot_id = snapshots.id))
            ORDER BY id
            """
    static let setOrigin: SQL = "UPDATE environments SET origin_snapshot_id = $2 WHERE id = $1"
    static let setRestore: SQL = "UPDATE environments SET restore_snapshot_id = $2 WHERE id = $1"

    static let statements = [
        byID, ofEnvironment, newest, count, insert, update, end, abandon, users, underWay, useless, setOrigin,
        setRestore,
    ]

    static func record(_ row: Row) throws -> SnapshotRecord {
        SnapshotRecord(
            id: try row.id("id"),
            organizationID: try row.id("organization_id"),
            environmentID: try row.id("environment_id"),
            ownerID: try row.optionalID("owner_id"),
            instance: try row.integer("instance"),
            spec: try JSONDecoder().decode(EnvironmentSpec.self, from: Data(try row.text("spec").utf8)),
            state: try row.value("state"),
            failure: try row.optionalText("failure").map {
                try JSONDecoder().decode(FailureReason.self, from: Data($0.utf8))
            },
            isTransient: try row.bool("is_transient"),
            createdAt: try row.timestamp("created_at"),
            readyAt: try row.optionalTimestamp("ready_at"),
            deadlineAt: try row.optionalTimestamp("deadline_at"),
            replicaID: try row.optionalID("replica_id")
        )
    }

    /// Writes what changed, fenced by what was read. Throws `MovedRow`.
    static func write(
        _ machine: SnapshotMachine,
        over old: SnapshotRecord,
        at now: Timestamp,
        in connection: any SQLConnection
    ) throws {
        let changed = try connection.run(
            update,
            old.id,
            old.state.rawValue,
            machine.state.rawValue,
            try machine.reason.map(EnvironmentStore.text),
            machine.state == .ready ? now : nil,
            machine.deadlineAt
        )
        guard changed == 1 else { throw MovedRow("snapshot \(old.id)") }
    }
}
