public import Base

/// `POST /v1/workspaces/{workspaceId}/presences`.
public struct JoinWorkspace: Sendable, Codable, Equatable {
    /// `desktop` (the default) or `web`.
    public var clientType: String?

    public init(clientType: String? = nil) { self.clientType = clientType }
}

/// Somebody who is connected to a workspace.
public struct Presence: Sendable, Codable, Equatable {
    public var id: String
    public var environmentId: EnvironmentID
    public var workspaceId: WorkspaceID?
    public var userId: UserID
    public var userName: String
    public var clientType: String
    public var connectedAt: Timestamp
    public var lastHeartbeatAt: Timestamp
    /// When it counts as gone, unless its client says before that it lives.
    public var expiresAt: Timestamp
    /// How often its client should say so.
    public var heartbeatMs: Int64

    public init(
        id: String,
        environmentId: EnvironmentID,
        workspaceId: WorkspaceID?,
        userId: UserID,
        userName: String,
        clientType: String,
        connectedAt: Timestamp,
        lastHeartbeatAt: Timestamp,
        expiresAt: Timestamp,
        heartbeatMs: Int64
    ) {
        self.id = id
        self.environmentId = environmentId
        self.workspaceId = workspaceId
        self.userId = userId
        self.userName = userName
        self.clientType = clientType
        self.connectedAt = connectedAt
        self.lastHeartbeatAt = lastHeartbeatAt
        self.expiresAt = expiresAt
        self.heartbeatMs = heartbeatMs
    }
}
