import Base
import Crypto
import Database

/// The rows of `sealed_values`. They hold no event: a secret's change is told by whoever owns it.
struct SealedValueStore: Sendable {
    let database: any SQLDatabase
    let time: any TimeSource

    func put(_ record: [UInt8], _ context: SealContext, _ owner: UserID?) async throws {
        let now = time.now
        try await database.write {
            try $0.run(Self.upsert, context.organizationID, context.purpose, context.subject, owner, record, now)
        }
    }

    func get(_ context: SealContext) async throws -> [UInt8]? {
        try await database.read {
            try $0.first(Self.select, context.organizationID, context.purpose, context.subject)?.blob("value")
        }
    }

    func remove(_ context: SealContext) async throws -> Bool {
        try await database.write {
            try $0.run(Self.delete, context.organizationID, context.purpose, context.subject) > 0
        }
    }

    func all() async throws -> [(SealContext, [UInt8])] {
        try await database.read { connection in
            try connection.rows(Self.selectAll).map { row in
                let context = SealContext(
                    organizationID: try row.id("organization_id"),
                    purpose: try row.text("purpose"),
                    subject: try row.text("subject")
                )
                return (context, try row.blob("value"))
            }
        }
    }

    /// False when the value was changed meanwhile.
    func replace(_ old: [UInt8], with new: [UInt8], _ context: SealContext) async throws -> Bool {
        let now = time.now
        return try await database.write {
            try $0.run(Self.exchange, context.organizationID, context.purpose, context.subject, old, new, now) > 0
        }
    }

    static let upsert: SQL = """
        INSERT INTO sealed_values (organization_id, purpose, subject, owner_id, value, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $6)
        ON CONFLICT (organization_id, purpose, subject)
        DO UPDATE SET owner_id = excluded.owner_id, value = excluded.value, updated_at = excluded.updated_at
        """
    static let select: SQL = """
        SELECT value FROM sealed_values WHERE organization_id = $1 AND purpose = $2 AND subject = $3
        """
    static let selectAll: SQL = """
        SELECT organization_id, purpose, subject, value FROM sealed_values ORDER BY organization_id, purpose, subject
        """
    static let delete: SQL = """
        DELETE FROM sealed_values WHERE organization_id = $1 AND purpose = $2 AND subject = $3
        """
    static let exchange: SQL = """
        UPDATE sealed_values SET value = $5, updated_at = $6
        WHERE organization_id = $1 AND purpose = $2 AND subject = $3 AND value = $4
        """

    static let statements = [upsert, select, selectAll, delete, exchange]
}
