public import Base
public import Domain

/// An execution as its row tells it; never its variables or logins.
public struct ExecutionRecord: Sendable, Equatable {
    public var id: ExecutionID
    public var organizationID: OrganizationID
    public var ownerID: UserID
    public var environmentID: EnvironmentID?
    public var workspaceID: WorkspaceID?
    public var personaID: String?
    public var spec: ExecutionSpec
    public var state: ExecutionState
    /// The first line of the prompt, or the command; at most 200 characters.
    public var title: String
    public var attempt: Int
    public var workerID: WorkerID?
    public var exitCode: Int32?
    public var failure: FailureReason?
    /// Somebody asked for its end, and its worker has yet to confirm.
    public var cancelRequestedAt: Timestamp?
    public var cancelledBy: String?
    /// The end as its worker reported it.
    public var report: ExecutionReport?
    public var createdAt: Timestamp
    public var assignedAt: Timestamp?
    public var startedAt: Timestamp?
    public var endedAt: Timestamp?
    public var stateEnteredAt: Timestamp
    public var deadlineAt: Timestamp?
    /// How often the machinery beneath it failed.
    public var failures: Int
    /// While queued after a failure: when the next attempt may begin.
    public var notBefore: Timestamp?
    /// The dead letter that it runs again.
    public var retryOf: ExecutionID?
    /// Changes with each write.
    public var version: Int64
}

/// A record that many hold: a task that waits with one keeps a reference, where the record itself is more than a kilobyte.
public final class ExecutionSnapshot: Sendable {
    public let record: ExecutionRecord

    public init(_ record: ExecutionRecord) { self.record = record }
}

public struct ExecutionFilter: Sendable, Equatable {
    /// Empty: all.
    public var states: [ExecutionState]
    public var environmentID: EnvironmentID?
    public var workspaceID: WorkspaceID?
    public var personaID: String?

    public init(
        states: [ExecutionState] = [],
        environmentID: EnvironmentID? = nil,
        workspaceID: WorkspaceID? = nil,
        personaID: String? = nil
    ) {
        self.states = states
        self.environmentID = environmentID
        self.workspaceID = workspaceID
        self.personaID = personaID
    }
}

/// Newest first.
public struct ExecutionPage: Sendable {
    public var executions: [ExecutionRecord]
    /// Hand it back to get the next page; nil at the end.
    public var next: ExecutionID?
}

/// What happened to one execution, from the organization's feed.
public struct ExecutionEvent: Sendable, Equatable {
    public var seq: Int64
    /// `execution.created`, `execution.running`, `execution.progress`, …
    public var type: String
    /// A JSON object.
    public var payload: String
    public var at: Timestamp
}

/// What the server has of one output stream of an attempt.
public struct OutputStatus: Sendable, Equatable {
    public var stream: OutputStream
    /// Bytes stored from the start.
    public var storedBytes: Int64
    /// Set with the end.
    public var mark: OutputMark?
}

public struct OutputSlice: Sendable, Equatable {
    public var offset: Int64
    public var bytes: [UInt8]
    /// Bytes stored from the start, when this was read.
    public var storedBytes: Int64
}
