import Base
import Database
import Domain

/// The SQL of organizations, users, members and keys.
enum AccountStore {
    /// What a presented key leads to, before the decision whether it is still good.
    struct KeyMatch {
        let principal: Principal
        let keyID: APIKeyID
        let hash: [UInt8]
        let expiresAt: Timestamp?
        let revokedAt: Timestamp?
    }

    static func singleUser(_ connection: any SQLConnection) throws -> Principal? {
        guard let row = try connection.first(selectSingleUser) else { return nil }
        return Principal(
            organizationID: try row.id("organization_id"),
            userID: try row.id("user_id"),
            role: try row.value("role")
        )
    }

    /// An organization with its first owner and its feed.
    static func organizationCreate(
        _ connection: any SQLConnection,
        _ owner: Principal,
        organization: String,
        user: String,
        at: Timestamp
    ) throws {
        try connection.run(insertOrganization, owner.organizationID, organization, at)
        try connection.run(insertFeed, owner.organizationID)
        try connection.run(insertUser, owner.userID, user, at)
        try connection.run(insertMember, owner.organizationID, owner.userID, owner.role.rawValue, at)
    }

    static func singleUserRemember(_ connection: any SQLConnection, _ principal: Principal, at: Timestamp) throws {
        try connection.run(insertSetting, singleUserOrganization, principal.organizationID, at)
        try connection.run(insertSetting, singleUserUser, principal.userID, at)
    }

    static func keyInsert(
        _ connection: any SQLConnection,
        _ key: APIKey,
        hash: [UInt8],
        organization: OrganizationID
    ) throws {
        try connection.run(
            insertKey,
            key.id,
            organization,
            key.userID,
            key.name,
            hash,
            key.ending,
            key.createdAt,
            key.expiresAt
        )
    }

    static func keyFind(_ connection: any SQLConnection, hash: [UInt8]) throws -> KeyMatch? {
        guard let row = try connection.first(selectKey, hash) else { return nil }
        let keyID: APIKeyID = try row.id("id")
        return KeyMatch(
            principal: Principal(
                organizationID: try row.id("organization_id"),
                userID: try row.id("user_id"),
                role: try row.value("role"),
                keyID: keyID
            ),
            keyID: keyID,
            hash: try row.blob("key_hash"),
            expiresAt: try row.optionalTimestamp("expires_at"),
            revokedAt: try row.optionalTimestamp("revoked_at")
        )
    }

    /// `user` nil: of every member.
    static func keyList(
        _ connection: any SQLConnection,
        _ organization: OrganizationID,
        user: UserID?
    ) throws -> [APIKey] {
        try connection.rows(selectKeys, organization, user).map(APIKey.init)
    }

    /// The key's owner and hash, when it was good until now.
    static func keyRevoke(
        _ connection: any SQLConnection,
        _ id: APIKeyID,
        _ organization: OrganizationID,
        user: UserID?,
        at: Timestamp
    ) throws -> (owner: UserID, hash: [UInt8])? {
        guard let row = try connection.first(revokeKey, id, organization, user, at) else { return nil }
        return (try row.id("user_id"), try row.blob("key_hash"))
    }

    static func keyExists(
        _ connection: any SQLConnection,
        _ id: APIKeyID,
        _ organization: OrganizationID,
        user: UserID?
    ) throws -> Bool {
        try connection.first(selectKeyByID, id, organization, user) != nil
    }

    static func keyUsed(_ connection: any SQLConnection, _ id: APIKeyID, at: Timestamp) throws {
        try connection.run(touchKey, id, at)
    }

    private static let singleUserOrganization = "single_user.organization"
    private static let singleUserUser = "single_user.user"

    static let isMember: SQL = "SELECT user_id FROM members WHERE organization_id = $1 AND user_id = $2"
    static let selectSingleUser: SQL = """
        SELECT m.organization_id, m.user_id, m.role FROM members m
            JOIN settings o ON o.name = 'single_user.organization' AND o.value = m.organization_id
            JOIN settings u ON u.name = 'single_user.user' AND u.value = m.user_id
        """
    static let insertOrganization: SQL = "INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3)"
    static let insertFeed: SQL = "INSERT INTO feed (organization_id, seq) VALUES ($1, 0)"
    static let insertUser: SQL = "INSERT INTO users (id, name, created_at) VALUES ($1, $2, $3)"
    static let insertMember: SQL = """
        INSERT INTO members (organization_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)
        """
    static let insertSetting: SQL = "INSERT INTO settings (name, value, updated_at) VALUES ($1, $2, $3)"
    static let insertKey: SQL = """
        INSERT INTO api_keys (id, organization_id, user_id, name, key_hash, key_ending, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """
    static let selectKey: SQL = """
        SELECT k.id, k.organization_id, k.user_id, k.key_hash, k.expires_at, k.revoked_at, m.role
        FROM api_keys k JOIN members m ON m.organization_id = k.organization_id AND m.user_id = k.user_id
        WHERE k.key_hash = $1
        """
    static let selectKeys: SQL = """
        SELECT id, user_id, name, key_ending, created_at, expires_at, last_used_at, revoked_at FROM api_keys
        WHERE organization_id = $1 AND (CAST($2 AS TEXT) IS NULL OR user_id = $2) ORDER BY id
        """
    static let selectKeyByID: SQL = """
        SELECT id FROM api_keys
        WHERE id = $1 AND organization_id = $2 AND (CAST($3 AS TEXT) IS NULL OR user_id = $3)
        """
    static let revokeKey: SQL = """
        UPDATE api_keys SET revoked_at = $4
        WHERE id = $1 AND organization_id = $2 AND (CAST($3 AS TEXT) IS NULL OR user_id = $3) AND revoked_at IS NULL
        RETURNING user_id, key_hash
        """
    static let touchKey: SQL = """
        UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)
        """

    static let lapsedKey: SQL = """
        SELECT id FROM api_keys WHERE id = $1 AND (revoked_at IS NOT NULL OR expires_at <= $2)
        """

    static let statements = [
        isMember,
        lapsedKey, selectSingleUser, insertOrganization, insertFeed, insertUser, insertMember, insertSetting, insertKey,
        selectKey,
        selectKeys, selectKeyByID, revokeKey, touchKey,
    ]
}
