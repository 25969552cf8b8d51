import Base
import Domain
public import Executions
import WorkerProtocol
public import Workers

// As the server wires them.
extension WorkerRegistry: WorkerPool {}
extension ExecutionService: AttemptBridge {}

/// Workers that stand alone need no environments.
struct NoEnvironments: EnvironmentWaking, InstanceBridge, WorkspaceObserver {
    func wake(_ environment: EnvironmentID, organization: OrganizationID) async throws -> FailureReason? { nil }
    func workerReady(_ environment: EnvironmentID, organization: OrganizationID, instance: Int64) async throws {}
    func workerGone(_ environment: EnvironmentID) async {}
    func network(of environment: EnvironmentID, organization: OrganizationID) async throws -> NetworkPolicy {
        NetworkPolicy.none
    }
    func workerSaw(
        _ report: ActivityReport,
        in environment: EnvironmentID,
        _ organization: OrganizationID,
        instance: Int64
    ) {}
    func executionChanged(
        _ execution: ExecutionID,
        workspace: WorkspaceID,
        organization: OrganizationID,
        isSetup: Bool,
        state: ExecutionState,
        outcome: WorkspaceOutcome?,
        failure: FailureReason?
    ) async {}
}

/// The registry as executions see it, with a mistake planted between the two.
struct PlantedPool: WorkerPool {
    let registry: WorkerRegistry
    let mistakes: Set<Mistake>

    var seat: ReplicaSeat { registry.seat }
    var isAtCapacity: Bool { registry.isAtCapacity }
    func candidates() -> [WorkerCandidate] { registry.candidates() }
    func reserve(_ worker: WorkerID, for key: AttemptKey) -> Bool { registry.reserve(worker, for: key) }

    func release(_ worker: WorkerID, _ key: AttemptKey) -> Bool {
        mistakes.contains(.slotLeaked) ? true : registry.release(worker, key)
    }

    func expect(
        _ worker: WorkerID,
        organization: OrganizationID,
        connection: Int64,
        holding key: AttemptKey,
        lostAt: Uptime
    ) {
        if mistakes.contains(.deadlineNotRearmed) { return }
        registry.expect(worker, organization: organization, connection: connection, holding: key, lostAt: lostAt)
    }

    func withdraw(_ worker: WorkerID, _ fence: WorkerFence) async { await registry.withdraw(worker, fence) }

    func assign(_ key: AttemptKey, _ message: ServerMessage.Assign, to worker: WorkerID, _ fence: WorkerFence) async
        -> Bool
    {
        await registry.assign(key, message, to: worker, fence)
    }

    func cancel(_ key: AttemptKey, at worker: WorkerID) async { await registry.cancel(key, at: worker) }
    func forget(_ key: AttemptKey, at worker: WorkerID) async { await registry.forget(key, at: worker) }
}

/// Executions as the workers' side sees them, with a mistake planted between the two.
struct PlantedBridge: AttemptBridge {
    let executions: ExecutionService
    let mistakes: Set<Mistake>

    func workerReady(_ worker: WorkerID) async {
        if mistakes.contains(.cancelLostOnReconnect) { return }
        await executions.workerReady(worker)
    }

    func resume(
        worker: WorkerID,
        organization: OrganizationID,
        fence: WorkerFence,
        attempts: [WorkerMessage.AttemptPosition]?,
        keepsBooks: Bool
    ) async throws -> WorkerResume {
        try await executions.resume(
            worker: worker,
            organization: organization,
            fence: fence,
            attempts: attempts,
            keepsBooks: keepsBooks
        )
    }

    func goneSince(_ keys: [AttemptKey], worker: WorkerID, organization: OrganizationID) async throws -> [AttemptKey] {
        try await executions.goneSince(keys, worker: worker, organization: organization)
    }

    func started(_ key: AttemptKey, worker: WorkerID, at: Timestamp) async throws {
        try await executions.started(key, worker: worker, at: at)
    }

    func progress(_ key: AttemptKey, worker: WorkerID, stage: String, message: String) async throws {
        try await executions.progress(key, worker: worker, stage: stage, message: message)
    }

    func personaEvent(_ key: AttemptKey, worker: WorkerID, type: String, payload: JSONValue) async throws {
        try await executions.personaEvent(key, worker: worker, type: type, payload: payload)
    }

    func completed(_ key: AttemptKey, worker: WorkerID, _ report: ExecutionReport, startedAt: Timestamp?) async throws {
        try await executions.completed(key, worker: worker, report, startedAt: startedAt)
    }

    func lost(_ keys: [AttemptKey], worker: WorkerID, _ fence: WorkerFence, _ reason: FailureReason) async throws {
        try await executions.lost(keys, worker: worker, fence, reason)
    }

    func openOutput(_ key: AttemptKey, _ stream: OutputStream, worker: WorkerID) async throws -> Int64 {
        try await executions.openOutput(key, stream, worker: worker)
    }

    func appendOutput(
        _ key: AttemptKey,
        _ stream: OutputStream,
        worker: WorkerID,
        at offset: Int64,
        _ bytes: ArraySlice<UInt8>
    ) async throws -> Int64 {
        try await executions.appendOutput(key, stream, worker: worker, at: offset, bytes)
    }

    func appendOutput(_ key: AttemptKey, _ stream: OutputStream, worker: WorkerID, text: String) async throws {
        try await executions.appendOutput(key, stream, worker: worker, text: text)
    }

    func appendTail(
        _ key: AttemptKey,
        _ stream: OutputStream,
        worker: WorkerID,
        at offset: Int64,
        _ bytes: ArraySlice<UInt8>
    ) async throws {
        try await executions.appendTail(key, stream, worker: worker, at: offset, bytes)
    }
}
