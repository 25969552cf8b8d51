public import Base

/// An API key; never its text.
public struct APIKeyView: Sendable, Codable, Equatable {
    public var id: APIKeyID
    public var userId: UserID
    public var name: String
    /// Its last characters, to recognise it by.
    public var ending: String
    public var createdAt: Timestamp
    public var expiresAt: Timestamp?
    public var lastUsedAt: Timestamp?
    public var revokedAt: Timestamp?

    public init(
        id: APIKeyID,
        userId: UserID,
        name: String,
        ending: String,
        createdAt: Timestamp,
        expiresAt: Timestamp?,
        lastUsedAt: Timestamp?,
        revokedAt: Timestamp?
    ) {
        self.id = id
        self.userId = userId
        self.name = name
        self.ending = ending
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.lastUsedAt = lastUsedAt
        self.revokedAt = revokedAt
    }
}

/// `POST /v1/keys`.
public struct CreateAPIKey: Sendable, Codable, Equatable {
    public var name: String
    /// `personal` (`berth_…`, the default) or `team` (`dac_…`).
    public var kind: String?
    public var expiresAt: Timestamp?

    public init(name: String, kind: String? = nil, expiresAt: Timestamp? = nil) {
        self.name = name
        self.kind = kind
        self.expiresAt = expiresAt
    }
}

/// The only time that a key's text is shown.
public struct CreatedAPIKey: Sendable, Codable, Equatable {
    public var key: APIKeyView
    public var token: String

    public init(key: APIKeyView, token: String) {
        self.key = key
        self.token = token
    }
}
