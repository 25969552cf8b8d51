public import Base
public import Domain

/// A job as its row tells it.
public struct JobRecord: Sendable, Equatable {
    public var id: JobID
    public var organizationID: OrganizationID
    /// Of the thing that it is about; nil: the organization's.
    public var ownerID: UserID?
    public var queue: WorkQueue
    /// `provision`, `start`, `pause`, `resume`, `stop` or `destroy`.
    public var action: String
    /// Id of the environment.
    public var subject: String
    public var state: JobState
    /// Turns so far.
    public var attempt: Int
    /// Turns that failed.
    public var failures: Int
    /// Turns whose server went away.
    public var losses: Int
    public var maximumAttempts: Int
    /// Requests that it stands for.
    public var wishes: Int64
    /// The server that alone can run it; nil: any.
    public var home: ReplicaID?
    /// Who runs it.
    public var holder: JobHolder?
    /// Why it failed, or, while it is queued, why its last turn did.
    public var failure: FailureReason?
    public var createdAt: Timestamp
    /// While it is queued: when its next turn comes.
    public var runAt: Timestamp
    public var startedAt: Timestamp?
    public var endedAt: Timestamp?

    public func claim(_ holder: JobHolder) -> JobClaim {
        JobClaim(
            id: id,
            organizationID: organizationID,
            queue: queue,
            action: action,
            subject: subject,
            attempt: attempt,
            holder: holder,
            wishes: wishes,
            failures: failures
        )
    }
}

/// One turn of a job.
public struct JobAttempt: Sendable, Equatable {
    public enum Outcome: String, Sendable {
        case completed, failed
        /// Its server went away.
        case lost
        /// Its server stopped in order.
        case handedBack
    }

    public var attempt: Int
    public var replica: ReplicaID
    public var startedAt: Timestamp
    public var endedAt: Timestamp?
    /// nil while it lasts.
    public var outcome: Outcome?
    public var code: ErrorCode?
    public var message: String?
}

public struct JobFilter: Sendable, Equatable {
    public var queue: WorkQueue?
    public var state: JobState?
    public var subject: String?

    public init(queue: WorkQueue? = nil, state: JobState? = nil, subject: String? = nil) {
        self.queue = queue
        self.state = state
        self.subject = subject
    }
}

/// How much of a queue there is.
public struct JobDepth: Sendable, Equatable {
    public var queue: WorkQueue
    /// Waiting for their turn or their next try.
    public var queued: Int
    public var active: Int
    public var completed: Int
    public var failed: Int
    /// When the oldest of the open ones was made.
    public var oldestAt: Timestamp?
}
