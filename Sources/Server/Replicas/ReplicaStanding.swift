import Executions
import Replicas
import Workers

/// What becomes of this server's workers when its standing among the servers of its database changes.
struct ReplicaStanding: ReplicaObserver {
    let workers: WorkerService
    let executions: ExecutionService

    func adopted() async { executions.lookAround() }

    func stoodDown() async { await workers.closeAll(reason: "the server has lost its leave to act") }
}
