import Base
import Database

/// The rows that the bus keeps for itself.
enum BusStore {
    static let member: SQL = "SELECT user_id, role FROM members WHERE organization_id = $1 AND user_id = $2"
    static let firstOwner: SQL = """
        SELECT user_id, role FROM members WHERE organization_id = $1 AND role = 'owner' ORDER BY created_at, user_id LIMIT 1
        """

    static let hold: SQL = """
        INSERT INTO bus_held (id, topic, message_key, value, headers, created_at) VALUES ($1, $2, $3, $4, $5, $6)
        """
    static let held: SQL = """
        SELECT id, message_key, value, headers FROM bus_held WHERE topic = $1 ORDER BY id LIMIT $2
        """
    static let heldTopics: SQL = "SELECT DISTINCT topic FROM bus_held ORDER BY topic"
    static let heldCount: SQL = "SELECT COUNT(*) AS count FROM bus_held"
    static let release: SQL = "DELETE FROM bus_held WHERE id = $1"

    static let lease: SQL = """
        UPDATE bus_leases SET holder = $2, leased_until = $3
        WHERE name = $1 AND (holder = $2 OR leased_until <= $4)
        """
    static let leaseKnown: SQL = "SELECT holder FROM bus_leases WHERE name = $1"
    static let insertLease: SQL = "INSERT INTO bus_leases (name, holder, leased_until) VALUES ($1, $2, $3)"
    static let dropLease: SQL = "DELETE FROM bus_leases WHERE name = $1 AND holder = $2"

    static let organizations: SQL = "SELECT organization_id FROM feed ORDER BY organization_id"
    /// Organizations that this bus does not follow yet.
    static let unfollowed: SQL = """
        SELECT f.organization_id, f.seq FROM feed f
        LEFT JOIN bus_positions p ON p.organization_id = f.organization_id AND p.bus = $1
        WHERE p.bus IS NULL ORDER BY f.organization_id
        """
    static let known: SQL = "SELECT COUNT(*) AS count FROM bus_positions WHERE bus = $1"
    static let follow: SQL = """
        INSERT INTO bus_positions (bus, organization_id, seq, updated_at) VALUES ($1, $2, $3, $4)
        """
    static let unfollow: SQL = "DELETE FROM bus_positions WHERE bus = $1"
    static let behind: SQL = """
        SELECT p.organization_id, p.seq AS position, f.seq FROM bus_positions p
        JOIN feed f ON f.organization_id = p.organization_id
        WHERE p.bus = $1 AND f.seq > p.seq ORDER BY p.organization_id
        """
    static let position: SQL = "SELECT seq FROM bus_positions WHERE bus = $1 AND organization_id = $2"
    /// The position is its own fence.
    static let move: SQL = """
        UPDATE bus_positions SET seq = $4, updated_at = $5 WHERE bus = $1 AND organization_id = $2 AND seq = $3
        """

    static let streams: SQL = """
        SELECT o.execution_id, o.attempt, o.organization_id, o.stdout_offset, o.stdout_planned, o.stderr_offset,
            o.stderr_planned, o.ended, r.requested_id
        FROM bus_output o LEFT JOIN bus_requests r ON r.execution_id = o.execution_id
        WHERE o.bus = $1 ORDER BY o.execution_id, o.attempt
        """
    static let stream: SQL = """
        SELECT attempt FROM bus_output WHERE bus = $1 AND execution_id = $2 AND attempt = $3
        """
    static let insertStream: SQL = """
        INSERT INTO bus_output (bus, execution_id, attempt, organization_id) VALUES ($1, $2, $3, $4)
        """
    static let planStream: SQL = """
        UPDATE bus_output SET stdout_planned = $4, stderr_planned = $5
        WHERE bus = $1 AND execution_id = $2 AND attempt = $3
        """
    static let moveStream: SQL = """
        UPDATE bus_output SET stdout_offset = stdout_planned, stderr_offset = stderr_planned
        WHERE bus = $1 AND execution_id = $2 AND attempt = $3 AND stdout_planned = $4 AND stderr_planned = $5
        """
    /// No more comes of these attempts.
    static let endStreams: SQL = """
        UPDATE bus_output SET ended = 1 WHERE bus = $1 AND execution_id = $2 AND attempt <= $3
        """
    static let dropStream: SQL = "DELETE FROM bus_output WHERE bus = $1 AND execution_id = $2 AND attempt = $3"

    /// Some of the requests whose executions ended long ago.
    static let trimRequests: SQL = """
        DELETE FROM bus_requests WHERE execution_id IN (
            SELECT r.execution_id FROM bus_requests r JOIN executions e ON e.id = r.execution_id
            WHERE r.created_at < $1 AND e.ended_at < $1 ORDER BY r.created_at LIMIT $2
        )
        """

    /// `count` executions as their messages tell of them.
    static func executions(_ count: Int) -> SQL {
        details + SQL.placeholders(from: 1, count: count) + ")"
    }

    private static let details: SQL = """
        SELECT e.id, e.persona_id, e.duration_ms, r.requested_id FROM executions e
        LEFT JOIN bus_requests r ON r.execution_id = e.id WHERE e.id IN (
        """

    /// By execution.
    static func details(of events: [Event], _ connection: any SQLConnection) throws -> [String: ExecutionDetails] {
        let subjects = Set(events.map(\.subject)).sorted()
        guard !subjects.isEmpty else { return [:] }
        var details: [String: ExecutionDetails] = [:]
        for row in try connection.rows(executions(subjects.count), values: subjects.map(\.sqlValue)) {
            details[try row.text("id")] = ExecutionDetails(
                personaID: try row.optionalText("persona_id"),
                durationMs: try row.optionalInteger("duration_ms"),
                requestedID: try row.optionalText("requested_id")
            )
        }
        return details
    }

    static let statements = [
        member, firstOwner, hold, held, heldCount, release, lease, leaseKnown, insertLease, dropLease, unfollowed,
        known, organizations, follow, behind, position, move, streams, stream, insertStream, planStream, moveStream,
        endStreams, dropStream, unfollow, executions(3), heldTopics, trimRequests,
    ]
}
