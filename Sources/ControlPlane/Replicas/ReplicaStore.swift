import Base
import Database
import Domain

/// The rows of `replicas`. Times are the database's own, so that the clocks of several machines need not agree.
struct ReplicaStore: Sendable {
    /// Takes over what an earlier process of the same server left.
    let begin: SQL
    /// As `begin`, but only where no other process has registered since, or that one's lease has run out.
    let beginAgain: SQL
    /// The fence is in the statement, and so is the time: what has run out is not renewed.
    let renew: SQL
    let end: SQL
    let living: SQL
    /// Those that live or ended within a day, with what they hold.
    let loads: SQL
    /// How long the lease lasts that runs out next, of another server.
    let nextLoss: SQL
    let anyUnowned: SQL
    /// Workers whose server is gone pass to this one, as long as its own lease holds.
    let adoptWorkers: SQL

    init(_ dialect: any SQLDialect) {
        let now = dialect.now
        let insert: SQL =
            "INSERT INTO replicas (id, fence, address, version, started_at, renewed_at, expires_at) VALUES ($1, 1, $2, $3, "
            + now + ", " + now + ", " + now + " + $4)"
        let replace: SQL = """
             ON CONFLICT (id) DO UPDATE
            SET fence = replicas.fence + 1, address = excluded.address, version = excluded.version,
                started_at = excluded.started_at, renewed_at = excluded.renewed_at, expires_at = excluded.expires_at,
                ended_at = NULL
            """
        begin = insert + replace + " RETURNING fence"
        beginAgain =
            insert + replace
            + " WHERE replicas.expires_at <= excluded.renewed_at OR replicas.fence = $5 RETURNING fence"
        renew =
            "UPDATE replicas SET address = $4, renewed_at = " + now + ", expires_at = " + now
            + " + $3 WHERE id = $1 AND fence = $2 AND expires_at > " + now + " RETURNING fence"
        end = "UPDATE replicas SET ended_at = " + now + ", expires_at = " + now + " WHERE id = $1 AND fence = $2"
        living = "SELECT id, address, version, started_at FROM replicas WHERE expires_at > " + now + " ORDER BY id"
        let held: SQL = """
             AS left_ms,
                (SELECT COUNT(*) FROM workers w
                    WHERE w.replica_id = r.id AND w.connected_at IS NOT NULL AND w.disconnected_at IS NULL
                    AND w.revoked_at IS NULL) AS workers,
                (SELECT COUNT(*) FROM execution_attempts a JOIN workers w ON w.id = a.worker_id
                    WHERE a.ended_at IS NULL AND w.replica_id = r.id) AS executions,
                (SELECT COUNT(*) FROM environments e
                    WHERE e.replica_id = r.id AND e.observed_state <> 'destroyed') AS environments
            FROM replicas r
            """
        let ages: SQL =
            "SELECT r.id, r.address, r.version, r.fence, r.started_at, r.ended_at, " + now
            + " - r.renewed_at AS age_ms, r.expires_at - " + now
        loads = ages + held + " WHERE r.expires_at > " + now + " - 86400000 ORDER BY r.id"
        nextLoss =
            "SELECT MIN(expires_at) - " + now + " AS left_ms FROM replicas WHERE id <> $1 AND expires_at > " + now
        let unowned: SQL =
            " revoked_at IS NULL AND (replica_id IS NULL OR replica_id NOT IN (SELECT id FROM replicas WHERE expires_at > "
            + now + "))"
        anyUnowned = "SELECT 1 AS found FROM workers WHERE" + unowned + " LIMIT 1"
        adoptWorkers =
            "UPDATE workers SET replica_id = $1, disconnected_at = COALESCE(disconnected_at, " + now + ") WHERE"
            + unowned
            + " AND EXISTS (SELECT 1 FROM replicas WHERE id = $1 AND fence = $2 AND expires_at > " + now + ")"
    }

    var statements: [SQL] { [begin, beginAgain, renew, end, living, loads, nextLoss, anyUnowned, adoptWorkers] }
}
