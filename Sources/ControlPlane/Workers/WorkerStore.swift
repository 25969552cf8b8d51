import Base
import Database
import Domain
import FoundationEssentials
import WorkerProtocol

/// The rows of `workers`.
enum WorkerStore {
    static let insertForInstance: SQL = """
        INSERT INTO workers
            (id, organization_id, owner_id, environment_id, instance, name, token_hash, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (environment_id, instance) WHERE environment_id IS NOT NULL
            DO UPDATE SET token_hash = excluded.token_hash, revoked_at = NULL
        RETURNING id
        """
    static let revokeEarlier: SQL = """
        UPDATE workers SET revoked_at = $4
        WHERE organization_id = $1 AND environment_id = $2 AND instance <= $3 AND revoked_at IS NULL
        """
    static let hand: SQL = "UPDATE workers SET organization_id = $2, owner_id = $3 WHERE environment_id = $1"
    static let byToken: SQL = """
        SELECT id, organization_id, owner_id, environment_id, instance FROM workers
        WHERE token_hash = $1 AND revoked_at IS NULL
        """
    static let revokedByToken: SQL = "SELECT id FROM workers WHERE token_hash = $1 AND revoked_at IS NOT NULL"
    static let insertAlone: SQL = """
        INSERT INTO workers (id, organization_id, name, created_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (organization_id, name) WHERE environment_id IS NULL DO UPDATE SET name = excluded.name
        RETURNING id
        """
    static let books: SQL = """
        SELECT state_id, process_started_at, replica_id, disconnected_at FROM workers WHERE id = $2 AND organization_id = $1
        """
    static let connect: SQL = """
        UPDATE workers
        SET version = $3, protocol = $4, capabilities = $5, connection = connection + 1, connected_at = $6,
            last_heard_at = $6, disconnected_at = NULL, replica_id = $7, state_id = $8, process_started_at = $9
        WHERE id = $2 AND organization_id = $1 AND revoked_at IS NULL
        RETURNING connection
        """
    static let disconnect: SQL = """
        UPDATE workers SET disconnected_at = $4, last_heard_at = $4
        WHERE id = $2 AND organization_id = $1 AND connection = $3
        """
    private static let visible: SQL = """
        SELECT id, name, environment_id, instance, version, protocol, capabilities, connected_at, disconnected_at,
            last_heard_at, created_at, replica_id, slots
        FROM workers
        WHERE organization_id = $1 AND revoked_at IS NULL AND (CAST($2 AS TEXT) IS NULL OR owner_id IS NULL OR owner_id = $2)
        """
    static let list: SQL = visible + " AND id > $3 ORDER BY id LIMIT $4"
    static let byID: SQL = visible + " AND id = $3"
    static let standing: SQL = """
        SELECT id FROM workers
        WHERE organization_id = $1 AND (id = $2 OR name = $2) AND environment_id IS NULL AND revoked_at IS NULL
        """

    /// For other servers' lists.
    static let ready: SQL = """
        UPDATE workers SET slots = $4 WHERE organization_id = $1 AND id = $2 AND connection = $3 AND slots <> $4
        """
    static let openAttempts: SQL = """
        SELECT execution_id FROM execution_attempts WHERE worker_id = $1 AND ended_at IS NULL
        ORDER BY execution_id LIMIT 1000
        """
    static let replicaOf: SQL = "SELECT replica_id FROM workers WHERE id = $1"
    static let replicaIn: SQL = "SELECT replica_id FROM workers WHERE environment_id = $1 AND instance = $2"

    /// For the test that prepares every statement.
    static let statements = [
        insertForInstance, revokeEarlier, byToken, revokedByToken, insertAlone, books, connect, disconnect, list, byID,
        standing,
        ready, openAttempts, replicaOf, replicaIn, hand,
    ]

    static func identity(_ row: Row) throws -> WorkerIdentity {
        let id: WorkerID = try row.id("id")
        let environment: EnvironmentID? = try row.optionalID("environment_id")
        let instance = try row.optionalInteger("instance")
        var place = WorkerIdentity.Place.alone
        if let environment, let instance { place = .environment(id, environment, instance: instance) }
        return WorkerIdentity(
            organizationID: try row.id("organization_id"),
            ownerID: try row.optionalID("owner_id"),
            place: place
        )
    }

    static func capabilitiesText(_ capabilities: [String]) throws -> String {
        let bounded = capabilities.prefix(100).map { String($0.prefix(100)) }
        return String(decoding: try JSONEncoder().encode(bounded), as: UTF8.self)
    }

    static func capabilities(_ text: String) throws -> [String] {
        try JSONDecoder().decode([String].self, from: Data(text.utf8))
    }
}
