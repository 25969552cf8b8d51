public import Base
public import Database
import Domain

/// How far people are with their personal environments. Of a login only whether there is one.
public struct SetupService: Sendable {
    public struct Record: Sendable, Equatable {
        /// JSON of the logins, as the last check found them.
        public var logins: String
        public var checkedAt: Timestamp
        public var completedAt: Timestamp?
    }

    private let database: any SQLDatabase
    private let feed: Feed
    private let time: any TimeSource

    public init(database: any SQLDatabase, feed: Feed, time: any TimeSource) {
        self.database = database
        self.feed = feed
        self.time = time
    }

    private static let find: SQL = """
        SELECT logins, checked_at, completed_at FROM setups WHERE organization_id = $1 AND user_id = $2
        """
    private static let put: SQL = """
        INSERT INTO setups (organization_id, user_id, logins, checked_at, completed_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (organization_id, user_id) DO UPDATE
        SET logins = excluded.logins, checked_at = excluded.checked_at, completed_at = excluded.completed_at
        """

    /// For the test that prepares every statement.
    public static let statements = [find, put]

    /// nil before the first check.
    public func find(_ organization: OrganizationID, user: UserID) async throws -> Record? {
        try await database.read { connection in
            try connection.first(Self.find, organization, user).map { row in
                Record(
                    logins: try row.text("logins"),
                    checkedAt: try row.timestamp("checked_at"),
                    completedAt: try row.optionalTimestamp("completed_at")
                )
            }
        }
    }

    /// - Parameter isComplete: whether nothing is left to be done.
    public func note(_ logins: String, isComplete: Bool, organization: OrganizationID, user: UserID) async throws
        -> Record
    {
        let now = time.now
        let record = Record(logins: logins, checkedAt: now, completedAt: isComplete ? now : nil)
        try await feed.transaction(organization: organization) { transaction in
            try transaction.run(Self.put, organization, user, record.logins, record.checkedAt, record.completedAt)
            transaction.record(
                NewEvent(
                    isComplete ? "setup.completed" : "setup.checked",
                    subject: user,
                    ownerID: user,
                    actorID: user,
                    at: now
                )
            )
        }
        return record
    }
}
