public import Base
public import Domain
public import WorkerProtocol

/// What executions need of the connected workers; wired to `Workers` by the composition root.
public protocol WorkerPool: Sendable {
    /// Which server they are connected to.
    var seat: ReplicaSeat { get }
    /// Ready workers with a free slot, by id.
    func candidates() -> [WorkerCandidate]
    /// Workers are connected, and none of them has a free slot.
    var isAtCapacity: Bool { get }
    /// Takes a slot; false when there is none any more.
    func reserve(_ worker: WorkerID, for key: AttemptKey) -> Bool
    @discardableResult
    func release(_ worker: WorkerID, _ key: AttemptKey) -> Bool
    /// The books say that this worker holds an attempt and was connected here last, by `connection`; unless it is here it
    /// has until `lostAt` to come.
    func expect(
        _ worker: WorkerID,
        organization: OrganizationID,
        connection: Int64,
        holding key: AttemptKey,
        lostAt: Uptime
    )
    /// It has connected elsewhere since it was by this connection: it is given nothing more here.
    func withdraw(_ worker: WorkerID, _ fence: WorkerFence) async
    /// Over the connection of `fence` and no later one, whose hello has settled what the worker holds. false when that
    /// connection has gone and the worker did not receive it.
    func assign(_ key: AttemptKey, _ message: ServerMessage.Assign, to worker: WorkerID, _ fence: WorkerFence) async
        -> Bool
    func cancel(_ key: AttemptKey, at worker: WorkerID) async
    func forget(_ key: AttemptKey, at worker: WorkerID) async
}

/// What executions need of environments; wired to `Environments` by the composition root.
public protocol EnvironmentWaking: Sendable {
    /// Starts or resumes the environment where necessary. Returns at once: nil when it comes, or why it never will.
    func wake(_ environment: EnvironmentID, organization: OrganizationID) async throws -> FailureReason?
}

/// Who wants to know what becomes of a workspace's executions, after it is durable; wired by the composition root.
public protocol WorkspaceObserver: Sendable {
    /// - Parameter isSetup: it sets the workspace up, which is ready with its end and not before.
    func executionChanged(
        _ execution: ExecutionID,
        workspace: WorkspaceID,
        organization: OrganizationID,
        isSetup: Bool,
        state: ExecutionState,
        outcome: WorkspaceOutcome?,
        failure: FailureReason?
    ) async
}

/// Output bytes by attempt and stream. Offsets count stored bytes: the start of the stream and, where it was capped, its
/// last bytes right behind.
public protocol OutputStoring: Sendable {
    /// Bytes stored; 0 for an unknown stream.
    func length(_ key: AttemptKey, _ stream: OutputStream) async throws -> Int64
    /// Stores bytes; what is there already is skipped, a gap is refused. Returns the length afterwards.
    func append(_ key: AttemptKey, _ stream: OutputStream, at offset: Int64, _ bytes: ArraySlice<UInt8>) async throws
        -> Int64
    /// Up to `limit` bytes from `offset` on; none at the end and past it.
    func read(_ key: AttemptKey, _ stream: OutputStream, from offset: Int64, limit: Int) async throws -> [UInt8]
    /// Where it is kept, for people.
    func place(_ key: AttemptKey, _ stream: OutputStream) -> String
}
