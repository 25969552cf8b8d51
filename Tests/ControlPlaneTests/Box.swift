import Synchronization
import Workers

/// What a fixture hands to a closure that was made before it.
final class Box: Sendable {
    private struct State: Sendable {
        var services: (WorkerService, WorkerTokens)?
        var workers: [ScriptedWorker] = []
    }

    private let state = Mutex(State())

    func set(_ services: (WorkerService, WorkerTokens)) { state.withLock { $0.services = services } }
    func get() -> (WorkerService, WorkerTokens)? { state.withLock { $0.services } }
    func keep(_ worker: ScriptedWorker) { state.withLock { $0.workers.append(worker) } }
}
