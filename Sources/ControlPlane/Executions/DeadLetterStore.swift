import Base
import Database
import Domain

/// The rows of `dead_letters`. Those of an execution's own record are read with it.
enum DeadLetterStore {
    static let columns: SQL = """
        SELECT execution_id, retried_as, created_at, expires_at FROM dead_letters
        """
    static let byID: SQL =
        columns + """
             WHERE execution_id = $1 AND organization_id = $2 AND (CAST($3 AS TEXT) IS NULL OR owner_id = $3)
            """
    static let page: SQL =
        columns + """
             WHERE organization_id = $1 AND (CAST($2 AS TEXT) IS NULL OR owner_id = $2)
                AND (CAST($3 AS TEXT) IS NULL OR execution_id < $3) ORDER BY execution_id DESC LIMIT $4
            """
    static let insert: SQL = """
        INSERT INTO dead_letters (execution_id, organization_id, owner_id, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5)
        """
    static let retried: SQL = """
        UPDATE dead_letters SET retried_as = $3
        WHERE execution_id = $1 AND organization_id = $2 AND retried_as IS NULL
        """
    static let delete: SQL = "DELETE FROM dead_letters WHERE execution_id = $1 AND organization_id = $2"
    static let expired: SQL = """
        SELECT execution_id, organization_id, owner_id FROM dead_letters WHERE expires_at <= $1
        ORDER BY expires_at LIMIT 100
        """

    static let statements = [byID, page, insert, retried, delete, expired]

    static func add(_ record: ExecutionRecord, at now: Timestamp, until: Timestamp, in connection: any SQLConnection)
        throws
    {
        try connection.run(insert, record.id, record.organizationID, record.ownerID, now, until)
    }

    /// Once: the second retry is refused, and with it the transaction that would make its execution.
    static func markRetried(
        _ letter: ExecutionID,
        as execution: ExecutionID,
        _ organization: OrganizationID,
        in connection: any SQLConnection
    ) throws {
        guard try connection.run(retried, letter, organization, execution) == 1 else {
            throw BerthError(
                .conflict,
                "dead letter \(letter) was retried or dropped already",
                remedy: "see it with: berth dlq show \(letter)"
            )
        }
        try connection.run(ExecutionStore.clearSecrets.one, letter, organization)
    }

    static func remove(_ letter: ExecutionID, _ organization: OrganizationID, in connection: any SQLConnection) throws
        -> Bool
    {
        guard try connection.run(delete, letter, organization) == 1 else { return false }
        try connection.run(ExecutionStore.clearSecrets.one, letter, organization)
        return true
    }
}
