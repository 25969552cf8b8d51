public import Base
public import Domain
import Synchronization

/// One attempt of an execution as its row tells it.
public struct AttemptHistory: Sendable, Equatable {
    public var attempt: Int
    public var workerID: WorkerID?
    public var workerName: String?
    public var environmentID: EnvironmentID?
    public var instance: Int64?
    public var assignedAt: Timestamp
    public var startedAt: Timestamp?
    public var endedAt: Timestamp?
    /// The outcome that was recorded, or `requeued`; nil while it is open.
    public var outcome: String?
    public var failure: FailureReason?
}

/// An execution that was given up after as many failures as are allowed.
public struct DeadLetterRecord: Sendable, Equatable {
    public var execution: ExecutionRecord
    public var retriedAs: ExecutionID?
    public var createdAt: Timestamp
    public var expiresAt: Timestamp
}

/// Newest first.
public struct DeadLetterPage: Sendable {
    public var letters: [DeadLetterRecord]
    /// Hand it back to get the next page; nil at the end.
    public var next: ExecutionID?
}

/// What this process has done about failures since its start.
public final class ExecutionTally: Sendable {
    private let retries = Atomic<Int64>(0)
    private let letters = Atomic<Int64>(0)

    public var retryCount: Int64 { retries.load(ordering: .relaxed) }
    public var deadLetterCount: Int64 { letters.load(ordering: .relaxed) }

    func retried() { retries.wrappingAdd(1, ordering: .relaxed) }
    func deadLettered() { letters.wrappingAdd(1, ordering: .relaxed) }
}
