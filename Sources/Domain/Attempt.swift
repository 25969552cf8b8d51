public import Base

/// One try of an execution; what a worker's word is about, and its fence.
public struct AttemptKey: Hashable, Sendable, CustomStringConvertible {
    public var executionID: ExecutionID
    /// From 1.
    public var attempt: Int

    public var description: String { "\(executionID):\(attempt)" }

    public init(_ executionID: ExecutionID, _ attempt: Int) {
        self.executionID = executionID
        self.attempt = attempt
    }
}

/// A connected worker that can take work, as the dispatcher sees it.
public struct WorkerCandidate: Sendable, Equatable {
    public var workerID: WorkerID
    public var organizationID: OrganizationID
    /// Where it runs; nil for a worker that stands alone.
    public var environmentID: EnvironmentID?
    public var instance: Int64?
    public var capabilities: [String]
    /// nil for a peer that speaks only the documented messages.
    public var protocolVersion: Int?
    public var freeSlots: Int
    /// By which connection it can be given work.
    public var fence: WorkerFence

    public init(
        workerID: WorkerID,
        organizationID: OrganizationID,
        environmentID: EnvironmentID?,
        instance: Int64?,
        capabilities: [String],
        protocolVersion: Int?,
        freeSlots: Int,
        fence: WorkerFence = WorkerFence(replicaID: .alone, connection: 0)
    ) {
        self.workerID = workerID
        self.organizationID = organizationID
        self.environmentID = environmentID
        self.instance = instance
        self.capabilities = capabilities
        self.protocolVersion = protocolVersion
        self.freeSlots = freeSlots
        self.fence = fence
    }
}
