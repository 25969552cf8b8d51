public import Base
import Database

/// What is known of a key; never the key itself.
public struct APIKey: Sendable {
    public let id: APIKeyID
    public let userID: UserID
    public let name: String
    /// Its last four characters.
    public let ending: String
    public let createdAt: Timestamp
    public let expiresAt: Timestamp?
    /// To the minute.
    public let lastUsedAt: Timestamp?
    public let revokedAt: Timestamp?

    init(_ row: Row) throws {
        id = try row.id("id")
        userID = try row.id("user_id")
        name = try row.text("name")
        ending = try row.text("key_ending")
        createdAt = try row.timestamp("created_at")
        expiresAt = try row.optionalTimestamp("expires_at")
        lastUsedAt = try row.optionalTimestamp("last_used_at")
        revokedAt = try row.optionalTimestamp("revoked_at")
    }

    init(id: APIKeyID, userID: UserID, name: String, ending: String, createdAt: Timestamp, expiresAt: Timestamp?) {
        self.id = id
        self.userID = userID
        self.name = name
        self.ending = ending
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        lastUsedAt = nil
        revokedAt = nil
    }
}

/// A key at its making: the only moment its text exists here.
public struct NewAPIKey: Sendable {
    public let key: APIKey
    public let token: Secret<String>
    /// The feed's position after it.
    public let seq: Int64?
}
