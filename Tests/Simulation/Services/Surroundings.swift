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
    func executionChanged(
        _ execution: ExecutionID,
        workspace: WorkspaceID,
        organization: OrganizationID,
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

    func assign(_ key: AttemptKey, _ message: ServerMessage.Assign, to worker: WorkerID) async -> Bool {
        await registry.assign(key, message, to: worker)
    }

    func cancel(_ key: AttemptKey, at worker: WorkerID) async { await registry.cancel(key, at: worker) }
    func forget(_ key: AttemptKey, at worker: WorkerID) async { await registry.forget(key, at: worker) }
}
