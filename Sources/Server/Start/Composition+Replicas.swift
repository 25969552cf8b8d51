import Database
import Replicas

// What keeps the servers of one database together.
extension Composition {
    func addReplicaServices(to group: inout ThrowingTaskGroup<Void, any Error>) {
        group.addTask { [self] in try await keeping("lease") { try await core.replicas.run() } }
        guard let wakeUps = core.database.wakeUps else { return }
        let changes = ForeignChanges(
            database: core.database,
            feed: core.feed,
            executions: core.executions,
            environments: core.environments,
            workers: core.workers,
            replicas: core.replicas,
            time: core.time
        )
        let watch = OutputWatch(wakeUps, executions: core.executions, time: core.time)
        group.addTask { [self] in try await keeping("changes of other servers") { try await changes.run() } }
        group.addTask { [self] in try await keeping("output of other servers") { try await watch.run() } }
    }
}
