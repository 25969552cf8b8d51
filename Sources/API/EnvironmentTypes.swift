public import Base
public import Domain

/// `POST /v1/environments`.
public struct CreateEnvironment: Sendable, Codable, Equatable {
    /// nil: the server picks one. `personal` names the personal environment.
    public var name: String?
    public var provider: ProviderKind?
    public var limits: ResourceLimits?
    public var limitsPolicy: LimitsPolicy?
    public var network: NetworkPolicy?
    /// For a provider that has several; nil: what the server is configured with.
    public var image: String?
    /// 5 to 480 minutes; 0 means never.
    public var autoStopMinutes: Int?
    /// When it is destroyed by itself; absent: never.
    public var expiresAt: Timestamp?

    public init() {}
}

public struct Environment: Sendable, Codable, Equatable {
    public var id: EnvironmentID
    public var name: String
    public var ownership: EnvironmentOwnership
    /// Observed: requested, provisioning, starting, running, pausing, paused, stopping, stopped, destroying, destroyed, error.
    public var status: String
    public var desired: String
    public var statusMessage: String?
    public var statusSince: Timestamp
    /// When the state is given up if it does not end by itself.
    public var deadlineAt: Timestamp?
    /// Incarnation number; new at every boot.
    public var instance: Int64
    public var spec: EnvironmentSpec
    public var limitsEnforced: String?
    /// What of the request this machine cannot enforce, in words.
    public var limitations: [String]
    /// Without use for this long it is paused; absent: never.
    public var autoStopMinutes: Int?
    /// Without use for this long it is stopped; absent: never.
    public var idleStopMinutes: Int?
    /// What was asked for, where `spec.limits`, what was granted, is less.
    public var requestedLimits: ResourceLimits?
    /// When it is destroyed by itself; absent: never.
    public var expiresAt: Timestamp?
    public var createdAt: Timestamp
    public var lastHealthCheckAt: Timestamp?
    public var lastActiveAt: Timestamp?
    /// In the answer to a stop: what that takes from it, in words; its files stay.
    public var lost: [String]?
    /// Changes with each write; the ETag.
    public var version: Int64

    public init(
        id: EnvironmentID,
        name: String,
        ownership: EnvironmentOwnership,
        status: String,
        desired: String,
        statusSince: Timestamp,
        instance: Int64,
        spec: EnvironmentSpec,
        createdAt: Timestamp,
        version: Int64
    ) {
        self.id = id
        self.name = name
        self.ownership = ownership
        self.status = status
        self.desired = desired
        self.statusSince = statusSince
        self.instance = instance
        self.spec = spec
        limitations = []
        self.createdAt = createdAt
        self.version = version
    }
}

/// `GET /v1/environments/{id}/why`: what led to the present state and what may follow.
public struct EnvironmentWhy: Sendable, Codable, Equatable {
    public var status: String
    public var desired: String
    public var since: Timestamp
    public var message: String?
    public var deadlineAt: Timestamp?
    /// Verbs that are allowed now.
    public var allowed: [String]
    /// The last changes, newest first.
    public var changes: [Change]

    public init(
        status: String,
        desired: String,
        since: Timestamp,
        message: String?,
        deadlineAt: Timestamp?,
        allowed: [String],
        changes: [Change]
    ) {
        self.status = status
        self.desired = desired
        self.since = since
        self.message = message
        self.deadlineAt = deadlineAt
        self.allowed = allowed
        self.changes = changes
    }
}
