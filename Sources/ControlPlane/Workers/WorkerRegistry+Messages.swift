public import Base
public import Domain
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
}
