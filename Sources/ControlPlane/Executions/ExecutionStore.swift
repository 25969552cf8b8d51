import Base
import Database
import Domain
import FoundationEssentials
import WorkerProtocol

/// A row together with the machine that it stands for. By reference, because it is handed on again and again and holds
/// dozens of strings.
final class StoredExecution: Sendable {
    let record: ExecutionRecord
    let titleSealed: [UInt8]?
    let instance: Int64?
    let machine: ExecutionMachine
    /// false: it is known that no secrets lie sealed beside it.
    let mayHaveSecrets: Bool

    init(
        record: ExecutionRecord,
        titleSealed: [UInt8]?,
        instance: Int64?,
        machine: ExecutionMachine,
        mayHaveSecrets: Bool = true
    ) {
        self.record = record
        self.titleSealed = titleSealed
        self.instance = instance
        self.machine = machine
        self.mayHaveSecrets = mayHaveSecrets
    }

    /// The same with what was found out about its secrets.
    func knowing(secrets mayHaveSecrets: Bool) -> StoredExecution {
        guard mayHaveSecrets != self.mayHaveSecrets else { return self }
        return StoredExecution(
            record: record,
            titleSealed: titleSealed,
            instance: instance,
            machine: machine,
            mayHaveSecrets: mayHaveSecrets
        )
    }
}

/// The rows of `executions` and what hangs on them. Every statement names the organization, except those of the
/// dispatcher and the deadlines, which work for all of them.
enum ExecutionStore {
    static let columns: SQL = """
        SELECT e.id, e.organization_id, e.owner_id, e.environment_id, e.workspace_id, e.persona_id, e.state, e.spec,
            e.title_sealed, e.attempt, e.version, e.cancel_requested_at, e.cancelled_by, e.exit_code, e.failure_code,
            e.failure_message, e.result, e.created_at, e.assigned_at, e.started_at, e.ended_at, e.deadline_at,
            e.state_entered_at, e.failures, e.not_before, e.retry_of, a.worker_id, a.instance
        FROM executions e
        LEFT JOIN execution_attempts a ON a.execution_id = e.id AND a.attempt = e.attempt
        """
    static let byID: SQL =
        columns + """
             WHERE e.id = $1 AND e.organization_id = $2
            """
    static let insert: SQL = """
        INSERT INTO executions
            (id, organization_id, owner_id, environment_id, workspace_id, persona_id, agent, state, spec, title_sealed,
             model, attempt, created_at, assigned_at, deadline_at, state_entered_at, needs, retry_of)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
        """
    static let insertInput: SQL = """
        INSERT INTO execution_inputs
            (execution_id, organization_id, owner_id, command_sealed, secrets_sealed, prompt_sealed)
        VALUES ($1, $2, $3, $4, $5, $6)
        """
    static let input: SQL = """
        SELECT command_sealed, secrets_sealed, prompt_sealed FROM execution_inputs
        WHERE execution_id = $1 AND organization_id = $2
        """
    /// Of up to `inputsAtOnce` executions; the dispatcher repeats an id to fill the rest.
    static let inputs: SQL =
        """
        SELECT execution_id, organization_id, command_sealed, secrets_sealed, prompt_sealed FROM execution_inputs
        WHERE execution_id IN (
        """ + SQL.placeholders(from: 1, count: inputsAtOnce) + ")"
    static let inputsAtOnce = 16
    static let clearSecrets = RowStatement(
        updating: """
            UPDATE execution_inputs SET secrets_sealed = NULL
            WHERE execution_id = $1 AND organization_id = $2 AND secrets_sealed IS NOT NULL
            """,
        [.text, .text]
    )
    /// The fence is in the statement: attempt and version as they were read.
    /// That it has not ended is said so that no index of what is open serves it: a planner that believes that little is
    /// open would read all of that, where each row is found by its key.
    static let update = RowStatement(
        updating: """
            UPDATE executions
            SET state = $5, attempt = $6, cancel_requested_at = $7, cancelled_by = $8, assigned_at = $9, started_at = $10,
                deadline_at = $11, state_entered_at = $12, failures = $13, not_before = $14, version = version + 1
            WHERE id = $1 AND organization_id = $2 AND attempt = $3 AND version = $4
                AND COALESCE(ended_at, 0) = 0
            """,
        [
            .text, .text, .integer, .integer, .text, .integer, .integer, .text, .integer, .integer, .integer, .integer,
            .integer, .integer,
        ]
    )
    /// As `update`, for the last write of all.
    static let end = RowStatement(
        updating: """
            UPDATE executions
            SET state = $5, cancelled_by = $6, started_at = $7, deadline_at = NULL, state_entered_at = $8, failures = $9,
                not_before = NULL, version = version + 1, exit_code = $10, failure_code = $11, failure_message = $12,
                agent_session_id = $13, model = COALESCE($14, model), input_tokens = $15, output_tokens = $16,
                cost_usd_micros = $17, turns = $18, duration_ms = $19, result = $20, ended_at = $21
            WHERE id = $1 AND organization_id = $2 AND attempt = $3 AND version = $4
                AND COALESCE(ended_at, 0) = 0
            """,
        [
            .text, .text, .integer, .integer, .text, .text, .integer, .integer, .integer, .integer, .text, .text, .text,
            .text, .integer, .integer, .integer, .integer, .integer, .text, .integer,
        ]
    )
    static let insertAttempt = RowStatement(
        inserting: """
            INSERT INTO execution_attempts
                (execution_id, attempt, organization_id, owner_id, worker_id, environment_id, instance, assigned_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """
    )
    static let startAttempt = RowStatement(
        updating: """
            UPDATE execution_attempts SET started_at = $3
            WHERE execution_id = $1 AND attempt = $2 AND started_at IS NULL AND COALESCE(ended_at, 0) = 0
            """,
        [.text, .integer, .integer]
    )
    /// With the marks of its streams, where its end was accepted.
    static let endAttempt = RowStatement(
        updating: """
            UPDATE execution_attempts
            SET started_at = COALESCE(started_at, $8), ended_at = $3, outcome = $4, accepted_end = $5, failure_code = $6,
                failure_message = $7, stdout_total = $9, stdout_head = $10, stdout_tail = $11, stdout_digest = $12,
                stderr_total = $13, stderr_head = $14, stderr_tail = $15, stderr_digest = $16,
                stdout_stored_digest = $17, stderr_stored_digest = $18
            WHERE execution_id = $1 AND attempt = $2 AND COALESCE(ended_at, 0) = 0
            """,
        [
            .text, .integer, .integer, .text, .integer, .text, .text, .integer, .integer, .integer, .integer, .text,
            .integer, .integer, .integer, .text, .text, .text,
        ]
    )
    /// What was recorded of the streams at their end.
    static let streamMarks: SQL = """
        SELECT stdout_total, stdout_head, stdout_tail, stdout_digest, stderr_total, stderr_head, stderr_tail, stderr_digest,
            stdout_stored_digest, stderr_stored_digest
        FROM execution_attempts WHERE execution_id = $1 AND attempt = $2
        """
    static let attemptOwner: SQL = """
        SELECT e.organization_id, e.owner_id, a.worker_id, e.spec FROM executions e
        JOIN execution_attempts a ON a.execution_id = e.id AND a.attempt = e.attempt
        WHERE e.id = $1 AND e.attempt = $2 AND e.state IN ('assigned', 'running')
        """
    static let heldByWorker: SQL =
        columns + """
             WHERE a.worker_id = $1 AND a.ended_at IS NULL AND e.organization_id = $2
                AND e.state IN ('assigned', 'running') ORDER BY e.id
            """
    static let heldByInstance: SQL =
        columns + """
             WHERE e.environment_id = $1 AND e.organization_id = $2 AND e.state IN ('assigned', 'running')
                AND e.ended_at IS NULL AND a.instance <= $3 ORDER BY e.id
            """
    static let queuedIn: SQL =
        columns + """
             WHERE e.environment_id = $1 AND e.organization_id = $2 AND e.state = 'queued'
                AND (e.not_before IS NULL OR e.not_before <= $4) ORDER BY e.id LIMIT $3
            """
    /// What is asked of workers by what waits: the first from the last parameter on, so that a long queue is not read through.
    static let needsIn: SQL = """
        SELECT needs FROM executions
        WHERE environment_id = $1 AND organization_id = $2 AND needs >= $3 AND state = 'queued' ORDER BY needs LIMIT 1
        """
    /// Ordered by what is null as well, because PostgreSQL's planner takes no IS NULL for a constant: it would read and sort
    /// all that waits instead of following the index.
    static let needsAlone: SQL = """
        SELECT needs FROM executions
        WHERE environment_id IS NULL AND organization_id = $1 AND needs >= $2 AND state = 'queued'
        ORDER BY environment_id, needs LIMIT 1
        """
    static let queuedInNeeding: SQL =
        columns + """
             WHERE e.environment_id = $1 AND e.organization_id = $2 AND e.needs = $3 AND e.state = 'queued'
                AND (e.not_before IS NULL OR e.not_before <= $5) AND e.id > $6 ORDER BY e.id LIMIT $4
            """
    static let queuedAloneNeeding: SQL =
        columns + """
             WHERE e.environment_id IS NULL AND e.organization_id = $1 AND e.needs = $2 AND e.state = 'queued'
                AND (e.not_before IS NULL OR e.not_before <= $4) AND e.id > $5
             ORDER BY e.environment_id, e.id LIMIT $3
            """
    /// Those before, by their ids alone.
    static let earlierInNeeding: SQL = """
        SELECT id FROM executions
        WHERE environment_id = $1 AND organization_id = $2 AND needs = $3 AND state = 'queued'
            AND (not_before IS NULL OR not_before <= $5) AND id <= $6 ORDER BY id LIMIT $4
        """
    static let earlierAloneNeeding: SQL = """
        SELECT id FROM executions
        WHERE environment_id IS NULL AND organization_id = $1 AND needs = $2 AND state = 'queued'
            AND (not_before IS NULL OR not_before <= $4) AND id <= $5 ORDER BY environment_id, id LIMIT $3
        """
    static let waitingEnvironments: SQL = """
        SELECT DISTINCT environment_id, organization_id FROM executions
        WHERE state = 'queued' AND environment_id IS NOT NULL AND (not_before IS NULL OR not_before <= $1)
        ORDER BY environment_id
        """
    static let nextAttempt: SQL = """
        SELECT MIN(not_before) AS at FROM executions WHERE state = 'queued' AND not_before > $1
        """
    static let attempts: SQL = """
        SELECT a.attempt, a.worker_id, w.name AS worker_name, a.environment_id, a.instance, a.assigned_at, a.started_at,
            a.ended_at, a.outcome, a.failure_code, a.failure_message
        FROM execution_attempts a LEFT JOIN workers w ON w.id = a.worker_id
        WHERE a.execution_id = $1 AND a.organization_id = $2 ORDER BY a.attempt
        """
    static let anyQueued: SQL = "SELECT 1 AS found FROM executions WHERE state = 'queued' LIMIT 1"
    /// What is held by workers that were connected to one server last, and whether their environment's incarnation is over.
    static let held: SQL = """
        SELECT e.id, e.organization_id, e.attempt, a.worker_id, w.connection,
            CASE WHEN a.instance < n.instance OR n.observed_state IN ('stopped', 'destroyed') THEN 1 ELSE 0 END AS is_over
        FROM executions e
        JOIN execution_attempts a ON a.execution_id = e.id AND a.attempt = e.attempt
        JOIN workers w ON w.id = a.worker_id
        LEFT JOIN environments n ON n.id = a.environment_id
        WHERE e.state IN ('assigned', 'running') AND e.ended_at IS NULL AND w.replica_id = $1 ORDER BY e.id
        """
    static let openIn: SQL = """
        SELECT COUNT(*) AS count FROM executions
        WHERE environment_id = $1 AND organization_id = $2 AND state IN ('assigned', 'running') AND ended_at IS NULL
        """
    static let due: SQL = """
        SELECT id, organization_id FROM executions
        WHERE deadline_at IS NOT NULL AND ended_at IS NULL AND deadline_at <= $1
        ORDER BY deadline_at LIMIT 100
        """
    static let nextDeadline: SQL = """
        SELECT MIN(deadline_at) AS at FROM executions
        WHERE deadline_at IS NOT NULL AND ended_at IS NULL
        """
    static let events: SQL = """
        SELECT seq, type, payload, recorded_at FROM events
        WHERE organization_id = $1 AND subject = $2 AND seq > $3 ORDER BY seq LIMIT $4
        """
    static let claimKey: SQL = """
        SELECT request_hash, subject FROM idempotency_keys
        WHERE organization_id = $1 AND owner_id = $2 AND operation = 'execution.create' AND key = $3
        """
    static let insertKey: SQL = """
        INSERT INTO idempotency_keys (organization_id, owner_id, operation, key, request_hash, subject, created_at)
        VALUES ($1, $2, 'execution.create', $3, $4, $5, $6)
        """

    /// For the test that prepares every statement.
    static let statements =
        [
            byID, insert, insertInput, input, inputs, streamMarks, attemptOwner, heldByWorker, heldByInstance, queuedIn,
            needsIn, needsAlone, queuedInNeeding, queuedAloneNeeding, earlierInNeeding, earlierAloneNeeding,
            waitingEnvironments, nextAttempt, attempts, anyQueued, held, openIn, due, nextDeadline, events, claimKey,
            insertKey, list(ExecutionFilter(states: [.queued, .running]), from: 8),
        ] + [clearSecrets, update, end, insertAttempt, startAttempt, endAttempt].flatMap(\.statements)
        + DeadLetterStore.statements

    /// Parameters: organization, user or null, environment, workspace, persona, cursor, limit, then the states.
    static func list(_ filter: ExecutionFilter, from first: Int = 8) -> SQL {
        let states: SQL =
            filter.states.isEmpty
            ? "" : " AND e.state IN (" + SQL.placeholders(from: first, count: filter.states.count) + ")"
        return columns + """
             WHERE e.organization_id = $1 AND (CAST($2 AS TEXT) IS NULL OR e.owner_id = $2)
                AND (CAST($3 AS TEXT) IS NULL OR e.environment_id = $3) AND (CAST($4 AS TEXT) IS NULL OR e.workspace_id = $4)
                AND (CAST($5 AS TEXT) IS NULL OR e.persona_id = $5) AND (CAST($6 AS TEXT) IS NULL OR e.id < $6)
            """ + states + " ORDER BY e.id DESC LIMIT $7"
    }
}
