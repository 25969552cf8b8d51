public import Base
public import Domain
public import WorkerProtocol

/// What the workers' side needs of executions; wired to `Executions` by the composition root. Every call is fenced by
/// the attempt and the worker: a stale one throws `stale`, one about nothing throws `not_found`.
public protocol AttemptBridge: Sendable {
    /// Answers a hello: one point per attempt that the worker names, and what it holds by the server's books afterwards.
    /// - Parameters:
    ///   - attempts: nil from a documented peer, which cannot say; it keeps what it had.
    ///   - keepsBooks: whether it would know of everything that was given to this name. Another process of the name does
    ///     not, and the one before it may run on until it notices that it is cut off.
    func resume(
        worker: WorkerID,
        organization: OrganizationID,
        fence: WorkerFence,
        attempts: [WorkerMessage.AttemptPosition]?,
        keepsBooks: Bool
    ) async throws -> WorkerResume
    /// Which of the attempts that a hello was answered with are not, or no longer, the worker's: they ended or moved on
    /// while nobody knew the connection.
    func goneSince(_ keys: [AttemptKey], worker: WorkerID, organization: OrganizationID) async throws -> [AttemptKey]
    func started(_ key: AttemptKey, worker: WorkerID, at: Timestamp) async throws
    func progress(_ key: AttemptKey, worker: WorkerID, stage: String, message: String) async throws
    func personaEvent(_ key: AttemptKey, worker: WorkerID, type: String, payload: JSONValue) async throws
    /// - Parameter startedAt: when the worker said that the process exists, where that was not recorded apart.
    func completed(_ key: AttemptKey, worker: WorkerID, _ report: ExecutionReport, startedAt: Timestamp?) async throws
    /// The attempts are gone with their worker, or it says that it does not run them. Nothing happens to those of a worker
    /// that has connected anew.
    func lost(_ keys: [AttemptKey], worker: WorkerID, _ fence: WorkerFence, _ reason: FailureReason) async throws
    /// A slot may have become free.
    func workerReady(_ worker: WorkerID) async

    /// Bytes of the stream that are stored.
    func openOutput(_ key: AttemptKey, _ stream: OutputStream, worker: WorkerID) async throws -> Int64
    /// Stores `bytes` at `offset`; returns the bytes stored from the start.
    func appendOutput(
        _ key: AttemptKey,
        _ stream: OutputStream,
        worker: WorkerID,
        at offset: Int64,
        _ bytes: ArraySlice<UInt8>
    ) async throws -> Int64
    /// Stores a documented peer's chunk behind what is there.
    func appendOutput(_ key: AttemptKey, _ stream: OutputStream, worker: WorkerID, text: String) async throws
    func appendTail(
        _ key: AttemptKey,
        _ stream: OutputStream,
        worker: WorkerID,
        at offset: Int64,
        _ bytes: ArraySlice<UInt8>
    ) async throws
}

/// What the workers' side needs of environments; wired to `Environments` by the composition root.
public protocol InstanceBridge: Sendable {
    /// A worker of this incarnation can take work. Throws `stale` for an incarnation that has passed.
    func workerReady(_ environment: EnvironmentID, organization: OrganizationID, instance: Int64) async throws
    /// Its connection has ended; perhaps it has too. Returns at once.
    func workerGone(_ environment: EnvironmentID) async
    /// What goes on in it, by its worker's own look. Returns at once.
    func workerSaw(
        _ report: ActivityReport,
        in environment: EnvironmentID,
        _ organization: OrganizationID,
        instance: Int64
    )
}
