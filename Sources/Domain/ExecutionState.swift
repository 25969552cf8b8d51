public import Base

/// The name of an execution's state, as it is stored and shown.
public enum ExecutionState: String, Sendable, Codable, CaseIterable, CustomStringConvertible {
    case queued, assigned, running, completed, failed, cancelled, timedOut

    public var description: String { rawValue }

    public var isTerminal: Bool {
        switch self {
        case .queued, .assigned, .running: false
        case .completed, .failed, .cancelled, .timedOut: true
        }
    }

    init(_ outcome: ExecutionReport.Outcome) {
        switch outcome {
        case .completed: self = .completed
        case .failed: self = .failed
        case .cancelled: self = .cancelled
        case .timedOut: self = .timedOut
        }
    }
}

/// Whether an execution that had started may be run again after its machinery was lost.
public enum RetryPolicy: String, Sendable, Codable {
    /// Effects outside Berth are at-least-once, so what has started is never repeated.
    case never
    /// The caller says that running it again does no harm.
    case idempotent
}

/// The hold of one worker on an execution. `attempt` is the fence of every write that the worker makes.
public struct AttemptClaim: Sendable, Equatable {
    /// From 1.
    public var attempt: Int
    public var workerID: WorkerID
    /// The incarnation of the environment that the worker runs in; nil for a worker that stands alone.
    public var instance: Int64?
    public var assignedAt: Timestamp

    public init(attempt: Int, workerID: WorkerID, instance: Int64?, assignedAt: Timestamp) {
        self.attempt = attempt
        self.workerID = workerID
        self.instance = instance
        self.assignedAt = assignedAt
    }
}

/// Somebody asked for the end of a run whose worker has yet to confirm it.
public struct CancelRequest: Sendable, Equatable {
    /// Who: a user id, or the name of a part of Berth.
    public var by: String
    public var at: Timestamp

    public init(by: String, at: Timestamp) {
        self.by = by
        self.at = at
    }
}

/// The recorded end of an execution: written once, never changed.
public struct ExecutionEnd: Sendable, Equatable {
    public var outcome: ExecutionReport.Outcome
    /// The attempt that was accepted; nil when it ended before any worker had it.
    public var attempt: Int?
    public var exitCode: Int32?
    public var failure: FailureReason?
    public var cancelledBy: String?
    public var endedAt: Timestamp

    public var state: ExecutionState { ExecutionState(outcome) }

    public init(
        outcome: ExecutionReport.Outcome,
        attempt: Int?,
        exitCode: Int32? = nil,
        failure: FailureReason? = nil,
        cancelledBy: String? = nil,
        endedAt: Timestamp
    ) {
        self.outcome = outcome
        self.attempt = attempt
        self.exitCode = exitCode
        self.failure = failure
        self.cancelledBy = cancelledBy
        self.endedAt = endedAt
    }
}

/// How long an execution may stay in each state before the server acts.
public struct ExecutionTimes: Sendable, Equatable {
    /// Queued without a worker: then `failed(unavailable)`.
    public var queued: Duration
    /// Assigned, the repository being fetched, no process yet: then `failed(infrastructureLost)`.
    public var preparation: Duration
    /// Past the run's own time limit, which its worker enforces: then `timedOut`.
    public var timeoutGrace: Duration
    /// From a request to cancel until the server stops waiting for the worker's word: then `cancelled`.
    public var cancelGrace: Duration
    /// Failures of the machinery until it is given up as a dead letter.
    public var maximumFailures: Int
    /// From the first failure to the next attempt; doubled with each further one.
    public var retryDelay: Duration
    /// How long a dead letter is kept.
    public var deadLetter: Duration

    public init(
        queued: Duration = .seconds(24 * 3600),
        preparation: Duration = .seconds(1800),
        timeoutGrace: Duration = .seconds(30),
        cancelGrace: Duration = .seconds(15),
        maximumFailures: Int = 3,
        retryDelay: Duration = .seconds(5),
        deadLetter: Duration = .seconds(7 * 24 * 3600)
    ) {
        self.queued = queued
        self.preparation = preparation
        self.timeoutGrace = timeoutGrace
        self.cancelGrace = cancelGrace
        self.maximumFailures = maximumFailures
        self.retryDelay = retryDelay
        self.deadLetter = deadLetter
    }

    /// - Parameter failures: so far, from 1.
    func backoff(after failures: Int) -> Duration { retryDelay * (1 << min(max(failures - 1, 0), 16)) }
}
