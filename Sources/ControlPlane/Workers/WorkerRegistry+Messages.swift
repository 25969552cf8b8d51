public import Base
public import Domain
import FoundationEssentials
public import WorkerProtocol

// What executions ask of workers.
extension WorkerRegistry {
    /// Returns false when the worker has gone; then it has not received it.
    public func assign(_ key: AttemptKey, _ message: ServerMessage.Assign, to worker: WorkerID) async -> Bool {
        guard let link = link(of: worker) else { return false }
        return await link.assign(key, .assign(message))
    }

    public func cancel(_ key: AttemptKey, at worker: WorkerID) async {
        let cancel = ServerMessage.Cancel(executionId: key.executionID.text, attempt: key.attempt)
        _ = await link(of: worker)?.send(.cancel(cancel))
    }

    public func forget(_ key: AttemptKey, at worker: WorkerID) async {
        await link(of: worker)?.forget(key)
    }

    /// It has connected elsewhere since: its connection here is ended and given nothing more.
    public func withdraw(_ worker: WorkerID, _ fence: WorkerFence) async {
        guard let link = stopGiving(worker, connection: fence.connection) else { return }
        await link.close(code: 1008, reason: "replaced by a newer connection of the same worker")
    }
}

extension WorkerService {
    /// A worker has connected to a server, by its event: an older connection here has been replaced, and what it holds is
    /// expected there.
    public func heardConnection(_ worker: WorkerID, payload: String) async {
        guard let fact = try? JSONDecoder().decode(ConnectedFact.self, from: Data(payload.utf8)),
            fact.replicaId != registry.seat.id
        else { return }
        guard let link = registry.yield(worker, before: fact.connection) else { return }
        await link.close(code: 1008, reason: "replaced by a newer connection of the same worker")
    }
}
