public import Base
internal import Database

public enum PresenceKind: IdentifierKind { public static let prefix = "pres" }
public typealias PresenceID = Identifier<PresenceKind>

/// From what somebody works in a workspace.
public enum ClientType: String, Sendable, Codable, CaseIterable {
    case desktop, web
}

/// Somebody who is connected to a workspace, for as long as their client says so.
public struct PresenceRecord: Sendable, Equatable {
    public var id: PresenceID
    public var organizationID: OrganizationID
    public var environmentID: EnvironmentID
    /// nil: in the environment as a whole, as the documents' own procedures have it.
    public var workspaceID: WorkspaceID?
    public var userID: UserID
    public var userName: String
    public var clientType: ClientType
    public var connectedAt: Timestamp
    public var lastHeartbeatAt: Timestamp

    /// A client says that it lives more often than this.
    public static let heartbeat = Duration.seconds(20)
    /// One that was silent for so long has gone.
    public static let expiry = Duration.seconds(60)

    public var expiresAt: Timestamp { lastHeartbeatAt + Self.expiry }

    init(_ row: Row) throws {
        id = try row.id("id")
        organizationID = try row.id("organization_id")
        environmentID = try row.id("environment_id")
        workspaceID = try row.optionalID("workspace_id")
        userID = try row.id("user_id")
        userName = try row.text("user_name")
        clientType = try row.value("client_type")
        connectedAt = try row.timestamp("connected_at")
        lastHeartbeatAt = try row.timestamp("last_heartbeat_at")
    }
}
