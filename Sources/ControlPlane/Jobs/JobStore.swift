import Base
import Database
import Domain

/// The rows of `jobs` and `job_attempts`.
struct JobStore: Sendable {
    static let columns: SQL = """
        SELECT id, organization_id, owner_id, queue, action, subject, state, attempt, failures, losses, wishes, home_id,
            replica_id, replica_fence, is_interrupted, failure_code, failure_message, failure_remedy, created_at, run_at, started_at,
            ended_at
        FROM jobs
        """
    static let byID: SQL = columns + " WHERE id = $1"
    static let find: SQL =
        columns + """
             WHERE id = $1 AND organization_id = $2 AND (CAST($3 AS TEXT) IS NULL OR owner_id IS NULL OR owner_id = $3)
            """
    static let list: SQL =
        columns + """
             WHERE organization_id = $1 AND (CAST($2 AS TEXT) IS NULL OR owner_id IS NULL OR owner_id = $2)
                AND (CAST($3 AS TEXT) IS NULL OR queue = $3) AND (CAST($4 AS TEXT) IS NULL OR state = $4)
                AND (CAST($5 AS TEXT) IS NULL OR subject = $5) AND (CAST($6 AS TEXT) IS NULL OR id < $6)
            ORDER BY id DESC LIMIT $7
            """
    static let ask: SQL = """
        UPDATE jobs SET wishes = wishes + 1 WHERE subject = $1 AND action = $2 AND state IN ('queued', 'active')
        """
    static let insert: SQL = """
        INSERT INTO jobs (id, organization_id, owner_id, queue, action, subject, state, home_id, created_at, run_at)
        VALUES ($1, $2, $3, $4, $5, $6, 'queued', $7, $8, $8)
        ON CONFLICT (subject, action) WHERE state IN ('queued', 'active') DO NOTHING
        """
    private static let ready: SQL = """
         WHERE queue = $1 AND state = 'queued' AND (home_id IS NULL OR home_id = $2)
            AND NOT EXISTS (SELECT 1 FROM jobs a WHERE a.subject = jobs.subject AND a.state = 'active')
        """
    static let nextRun: SQL = "SELECT MIN(run_at) AS run_at FROM jobs" + ready
    /// The fence is in the statement: the turn and the state as they were read, and for an end the wishes.
    static let update: SQL = """
        UPDATE jobs
        SET state = $5, attempt = $6, failures = $7, run_at = COALESCE($8, run_at), replica_id = $9, replica_fence = $10,
            failure_code = $11, failure_message = $12, failure_remedy = $13, started_at = COALESCE($14, started_at),
            ended_at = $15, is_interrupted = 0, losses = $16
        WHERE id = $1 AND attempt = $2 AND state = $3 AND (CAST($4 AS BIGINT) IS NULL OR wishes = $4)
        """
    static let place: SQL = "UPDATE jobs SET home_id = $2 WHERE subject = $1 AND state IN ('queued', 'active')"
    static let insertAttempt: SQL = """
        INSERT INTO job_attempts (job_id, attempt, organization_id, replica_id, started_at) VALUES ($1, $2, $3, $4, $5)
        """
    static let endAttempt: SQL = """
        UPDATE job_attempts SET ended_at = $3, outcome = $4, code = $5, message = $6
        WHERE job_id = $1 AND attempt = $2 AND ended_at IS NULL
        """
    static let attempts: SQL = """
        SELECT attempt, replica_id, started_at, ended_at, outcome, code, message FROM job_attempts
        WHERE job_id = $1 AND organization_id = $2 ORDER BY attempt
        """
    static let interrupt: SQL = "UPDATE jobs SET is_interrupted = 1 WHERE subject = $1 AND state = 'active'"
    static let interrupted: SQL = """
        SELECT subject FROM jobs WHERE state = 'active' AND is_interrupted = 1 AND replica_id = $1 ORDER BY subject
        """
    static let openSubjects: SQL = """
        SELECT DISTINCT subject FROM jobs WHERE state IN ('queued', 'active') ORDER BY subject
        """
    static let isOpen: SQL = "SELECT 1 AS found FROM jobs WHERE subject = $1 AND state IN ('queued', 'active') LIMIT 1"
    static let heldBy: SQL = columns + " WHERE state = 'active' AND replica_id = $1 AND replica_fence = $2 ORDER BY id"
    static let surplusAttempts: SQL = "DELETE FROM job_attempts WHERE job_id IN (" + surplus + ")"
    static let surplusJobs: SQL = "DELETE FROM jobs WHERE id IN (" + surplus + ")"
    private static let surplus: SQL = """
        SELECT id FROM jobs WHERE organization_id = $1 AND queue = $2 AND state = $3
        ORDER BY ended_at DESC, id DESC LIMIT 1000 OFFSET $4
        """
    static let depths: SQL = """
        SELECT queue, state, COUNT(*) AS count, MIN(created_at) AS oldest FROM jobs
        WHERE (CAST($1 AS TEXT) IS NULL OR organization_id = $1)
        GROUP BY queue, state ORDER BY queue, state
        """

    /// One job whose turn it is, passing over those that other servers look at now.
    let candidate: SQL
    /// Whether a claim holds; kept so until the transaction ends.
    let held: SQL
    /// Active ones of this server, and of servers that are gone.
    let doubtful: SQL

    init(_ dialect: any SQLDialect) {
        candidate =
            Self.columns + Self.ready + " AND run_at <= $3 ORDER BY run_at, id LIMIT 1" + dialect.skippingHeldRows
        held =
            """
            SELECT 1 AS found FROM jobs
            WHERE id = $1 AND attempt = $2 AND state = 'active' AND replica_id = $3 AND replica_fence = $4
            """ + dialect.holdingRows
        doubtful =
            Self.columns
            + " WHERE state = 'active' AND (replica_id = $1 OR NOT EXISTS (SELECT 1 FROM replicas r"
            + " WHERE r.id = jobs.replica_id AND r.fence = jobs.replica_fence AND r.expires_at > " + dialect.now
            + ")) ORDER BY id"
    }

    /// For the test that prepares every statement.
    var statements: [SQL] {
        [
            Self.byID, Self.find, Self.list, Self.ask, Self.insert, Self.nextRun, Self.update, Self.place,
            Self.insertAttempt, Self.endAttempt, Self.attempts, Self.interrupt, Self.interrupted, Self.openSubjects,
            Self.isOpen, Self.heldBy, Self.surplusAttempts, Self.surplusJobs, Self.depths, candidate, held, doubtful,
        ]
    }

    static func record(_ row: Row, _ policies: [WorkQueue: JobPolicy]) throws -> JobRecord {
        let queue: WorkQueue = try row.value("queue")
        var holder: JobHolder?
        if let replica: ReplicaID = try row.optionalID("replica_id"),
            let fence = try row.optionalInteger("replica_fence")
        {
            holder = JobHolder(replica: replica, fence: fence)
        }
        let failure = try row.optionalText("failure_code").map {
            FailureReason(
                ErrorCode(rawValue: $0),
                try row.text("failure_message"),
                remedy: try row.optionalText("failure_remedy")
            )
        }
        return JobRecord(
            id: try row.id("id"),
            organizationID: try row.id("organization_id"),
            ownerID: try row.optionalID("owner_id"),
            queue: queue,
            action: try row.text("action"),
            subject: try row.text("subject"),
            state: try row.value("state"),
            attempt: try row.int("attempt"),
            failures: try row.int("failures"),
            losses: try row.int("losses"),
            maximumAttempts: (policies[queue] ?? queue.policy).maximumAttempts,
            wishes: try row.integer("wishes"),
            home: try row.optionalID("home_id"),
            holder: holder,
            failure: failure,
            createdAt: try row.timestamp("created_at"),
            runAt: try row.timestamp("run_at"),
            startedAt: try row.optionalTimestamp("started_at"),
            endedAt: try row.optionalTimestamp("ended_at")
        )
    }

    static func attempt(_ row: Row) throws -> JobAttempt {
        JobAttempt(
            attempt: try row.int("attempt"),
            replica: try row.id("replica_id"),
            startedAt: try row.timestamp("started_at"),
            endedAt: try row.optionalTimestamp("ended_at"),
            outcome: try row.optionalValue("outcome"),
            code: try row.optionalText("code").map { ErrorCode(rawValue: $0) },
            message: try row.optionalText("message")
        )
    }
}
