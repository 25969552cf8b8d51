public import Base
public import Domain

/// Durable work of the control plane.
public struct Job: Sendable, Codable, Equatable {
    public var id: JobID
    /// `vm-provision` or `vm-control`.
    public var queue: String
    /// `provision`, `start`, `pause`, `resume`, `stop` or `destroy`.
    public var action: String
    public var environmentId: String
    /// `queued`, `active`, `completed` or `failed`.
    public var status: String
    /// Turns so far.
    public var attempt: Int
    /// Turns that failed.
    public var failures: Int
    public var maximumAttempts: Int
    /// Requests that it stands for.
    public var requests: Int64
    /// Why it failed, or why its last turn did.
    public var failure: FailureReason?
    /// The server that runs it.
    public var serverId: ReplicaID?
    public var createdAt: Timestamp
    /// When its next turn comes, while it is queued.
    public var nextAt: Timestamp?
    public var startedAt: Timestamp?
    public var endedAt: Timestamp?
    /// Oldest first; only where one job is shown.
    public var attempts: [JobTurn]?

    public init(
        id: JobID,
        queue: String,
        action: String,
        environmentId: String,
        status: String,
        attempt: Int,
        failures: Int,
        maximumAttempts: Int,
        requests: Int64,
        createdAt: Timestamp
    ) {
        self.id = id
        self.queue = queue
        self.action = action
        self.environmentId = environmentId
        self.status = status
        self.attempt = attempt
        self.failures = failures
        self.maximumAttempts = maximumAttempts
        self.requests = requests
        self.createdAt = createdAt
    }
}

/// One turn of a job.
public struct JobTurn: Sendable, Codable, Equatable {
    public var attempt: Int
    public var serverId: ReplicaID
    public var startedAt: Timestamp
    public var endedAt: Timestamp?
    /// `completed`, `failed`, `lost` (its server went away) or `handedBack` (its server stopped); absent while it lasts.
    public var outcome: String?
    public var code: ErrorCode?
    public var message: String?

    public init(
        attempt: Int,
        serverId: ReplicaID,
        startedAt: Timestamp,
        endedAt: Timestamp? = nil,
        outcome: String? = nil,
        code: ErrorCode? = nil,
        message: String? = nil
    ) {
        self.attempt = attempt
        self.serverId = serverId
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.outcome = outcome
        self.code = code
        self.message = message
    }
}
