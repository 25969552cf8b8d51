public import Base
public import Domain

/// One attempt of an execution.
public struct ExecutionAttempt: Sendable, Codable, Equatable {
    /// From 1.
    public var attempt: Int
    public var workerId: WorkerID?
    /// The name of that worker.
    public var worker: String?
    public var environmentId: EnvironmentID?
    public var instance: Int64?
    public var assignedAt: Timestamp
    public var startedAt: Timestamp?
    public var endedAt: Timestamp?
    /// `completed`, `failed`, `cancelled`, `timedOut`, or `requeued`; nil while it is open.
    public var outcome: String?
    public var failure: FailureReason?

    public init(
        attempt: Int,
        workerId: WorkerID?,
        worker: String?,
        environmentId: EnvironmentID?,
        instance: Int64?,
        assignedAt: Timestamp,
        startedAt: Timestamp?,
        endedAt: Timestamp?,
        outcome: String?,
        failure: FailureReason?
    ) {
        self.attempt = attempt
        self.workerId = workerId
        self.worker = worker
        self.environmentId = environmentId
        self.instance = instance
        self.assignedAt = assignedAt
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.outcome = outcome
        self.failure = failure
    }
}

/// An execution that was given up after repeated failures.
public struct DeadLetter: Sendable, Codable, Equatable {
    public var executionId: ExecutionID
    public var title: String
    public var environmentId: EnvironmentID?
    public var failures: Int
    /// The last one.
    public var failure: FailureReason?
    /// When the execution was made.
    public var createdAt: Timestamp
    public var deadLetteredAt: Timestamp
    /// When it goes by itself.
    public var expiresAt: Timestamp
    /// The execution that ran it again.
    public var retriedAs: ExecutionID?
    /// Oldest first; nil in a list.
    public var attempts: [ExecutionAttempt]?

    public init(
        executionId: ExecutionID,
        title: String,
        environmentId: EnvironmentID?,
        failures: Int,
        failure: FailureReason?,
        createdAt: Timestamp,
        deadLetteredAt: Timestamp,
        expiresAt: Timestamp,
        retriedAs: ExecutionID?
    ) {
        self.executionId = executionId
        self.title = title
        self.environmentId = environmentId
        self.failures = failures
        self.failure = failure
        self.createdAt = createdAt
        self.deadLetteredAt = deadLetteredAt
        self.expiresAt = expiresAt
        self.retriedAs = retriedAs
    }
}
