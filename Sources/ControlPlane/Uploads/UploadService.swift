public import Base
public import Database
public import Domain

/// Bytes that a caller has given for an execution to come, and who may have them.
public struct UploadRecord: Sendable, Equatable {
    public var id: UploadID
    public var organizationID: OrganizationID
    public var ownerID: UserID
    /// nil until an execution takes them.
    public var executionID: ExecutionID?
    public var bytes: Int64
    /// Of the bytes, hexadecimal.
    public var sha256: String
    public var createdAt: Timestamp
    public var expiresAt: Timestamp

    public var reference: UploadReference { UploadReference(id: id, bytes: bytes, sha256: sha256) }
}

/// The rows of uploads. The files belong to the server, which removes what `sweep` names.
public struct UploadService: Sendable {
    let database: any SQLDatabase
    let time: any TimeSource

    /// How long bytes wait for an execution that takes them.
    public static let lifetime = Duration.seconds(24 * 3600)

    public init(database: any SQLDatabase, time: any TimeSource) {
        self.database = database
        self.time = time
    }

    /// For the test that prepares every statement.
    public static var statements: [SQL] { UploadStore.statements }

    /// Records bytes that are stored already.
    public func add(_ id: UploadID, bytes: Int64, sha256: String, organization: OrganizationID, by user: UserID)
        async throws -> UploadRecord
    {
        let now = time.now
        let record = UploadRecord(
            id: id,
            organizationID: organization,
            ownerID: user,
            executionID: nil,
            bytes: bytes,
            sha256: sha256,
            createdAt: now,
            expiresAt: now + Self.lifetime
        )
        try await database.write { connection in
            try connection.run(
                UploadStore.insert,
                id,
                organization,
                user,
                bytes,
                sha256,
                record.createdAt,
                record.expiresAt
            )
        }
        return record
    }

    /// - Parameter user: whose it must be; nil for what acts for the whole organization.
    public func get(_ id: UploadID, organization: OrganizationID, owner user: UserID?) async throws -> UploadRecord {
        let row = try await database.read { try $0.first(UploadStore.byID, id, organization) }
        let record = try row.map(UploadStore.record)
        guard let record, user == nil || record.ownerID == user else {
            throw BerthError(
                .notFound,
                "there is no upload \(id)",
                field: "repository.upload",
                remedy: "uploads are kept for 24 hours and serve one execution; upload it again"
            )
        }
        return record
    }

    /// The bytes are this execution's and go with its end.
    public func bind(_ id: UploadID, organization: OrganizationID, to execution: ExecutionID) async throws {
        try await database.write { try $0.run(UploadStore.bind, id, organization, execution) }
    }

    /// Forgets one.
    public func remove(_ id: UploadID, organization: OrganizationID) async throws {
        try await database.write { try $0.run(UploadStore.delete, id, organization) }
    }

    /// Those whose execution has ended, is no dead letter and is not run again, and those that nobody took in time; at most 1000.
    public func overdue() async throws -> [UploadRecord] {
        let now = time.now
        return try await database.read { connection in
            try connection.rows(UploadStore.overdue, now).map(UploadStore.record)
        }
    }

    public func exists(_ id: UploadID) async throws -> Bool {
        try await database.read { try $0.first(UploadStore.any, id) } != nil
    }
}

/// The rows of `uploads`.
enum UploadStore {
    static let columns: SQL = """
        SELECT u.id, u.organization_id, u.owner_id, u.execution_id, u.byte_count, u.sha256, u.created_at, u.expires_at
        FROM uploads u
        """
    static let byID: SQL = columns + " WHERE u.id = $1 AND u.organization_id = $2"
    static let any: SQL = "SELECT id FROM uploads WHERE id = $1"
    static let insert: SQL = """
        INSERT INTO uploads (id, organization_id, owner_id, byte_count, sha256, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """
    /// The first one keeps it.
    static let bind: SQL = """
        UPDATE uploads SET execution_id = $3 WHERE id = $1 AND organization_id = $2 AND execution_id IS NULL
        """
    static let delete: SQL = "DELETE FROM uploads WHERE id = $1 AND organization_id = $2"
    static let overdue: SQL =
        columns + """
             LEFT JOIN executions e ON e.id = u.execution_id
            WHERE (u.execution_id IS NULL AND u.expires_at < $1)
                OR (e.state IN ('completed', 'failed', 'cancelled', 'timedOut')
                    AND NOT EXISTS (SELECT 1 FROM dead_letters d WHERE d.execution_id = e.id)
                    AND NOT EXISTS (SELECT 1 FROM executions r WHERE r.retry_of = e.id AND r.ended_at IS NULL))
            ORDER BY u.id LIMIT 1000
            """

    static let statements = [byID, any, insert, bind, delete, overdue]

    static func record(_ row: Row) throws -> UploadRecord {
        UploadRecord(
            id: try row.id("id"),
            organizationID: try row.id("organization_id"),
            ownerID: try row.id("owner_id"),
            executionID: try row.optionalID("execution_id"),
            bytes: try row.integer("byte_count"),
            sha256: try row.text("sha256"),
            createdAt: try row.timestamp("created_at"),
            expiresAt: try row.timestamp("expires_at")
        )
    }
}
