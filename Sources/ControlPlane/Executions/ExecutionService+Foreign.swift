public import Base
import Domain
import FoundationEssentials
import WorkerProtocol

// What another server has done to an execution, as its event tells.
extension ExecutionService {
    /// Those who watch it look; its worker, where it is connected here, is told what the other server could not tell it.
    /// Repeating it does no harm.
    public func heard(_ id: ExecutionID, type: String, payload: String) async {
        bells.ring(id, .changed)
        guard let fact = try? JSONDecoder().decode(Fact.self, from: Data(payload.utf8)), let state = fact.state else {
            return
        }
        if state == .queued { dispatchBell.ring() }
        let attempt = fact.attempt ?? 0
        let isOpen = !state.isTerminal && state != .queued
        inFlight.noteEnd(AttemptKey(id, isOpen ? attempt - 1 : attempt))
        if fact.isCancelling == true { inFlight.noteCancel(AttemptKey(id, attempt)) }
        for key in live.keys(of: id, upTo: attempt) {
            guard let worker = live[key]?.workerID else { continue }
            if !isOpen || key.attempt < attempt {
                live.remove(key)
                if workers.release(worker, key) { dispatchBell.ring() }
                await workers.cancel(key, at: worker)
                await workers.forget(key, at: worker)
            } else if fact.isCancelling == true {
                await workers.cancel(key, at: worker)
            }
        }
    }

    /// News may have been missed: whoever watches anything looks, and cancels that workers here have not heard of are
    /// repeated.
    public func lookAgain() {
        bells.ringAll()
        dispatchBell.ring()
        deadlines.bell.ring()
    }

    /// Executions that somebody watches here and no worker of this server runs.
    public var watchedElsewhere: [ExecutionID] {
        let watched = bells.living
        guard !watched.isEmpty else { return [] }
        let own = live.executions
        return watched.filter { !own.contains($0) }
    }

    /// Rings when somebody begins to watch an execution.
    public var watchBegan: Wakeup { bells.made }

    /// More output of it was stored by another server.
    public func heardOutput(_ id: ExecutionID) { bells.ring(id, .grown) }

    private struct Fact: Decodable {
        var state: ExecutionState?
        var attempt: Int?
        var isCancelling: Bool?
    }
}
