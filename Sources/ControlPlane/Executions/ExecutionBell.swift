public import Base
import Synchronization

/// What happened to an execution that somebody watches.
public enum ExecutionNews: Sendable {
    /// Its record or its history: state, progress.
    case changed
    /// More of its output is stored.
    case grown
}

/// Tells those who watch one execution what happened to it, after it is stored.
public final class ExecutionBell: Sendable {
    private struct Listener {
        let number: UInt64
        let hear: @Sendable (ExecutionNews) -> Void
    }

    private struct State {
        var nextNumber: UInt64 = 0
        var listeners: [Listener] = []
    }

    /// Rings for every change of the record and its history, not for output. Take `count`, read, then wait after that
    /// count.
    public let changes = Wakeup()
    private let state = Mutex(State())

    /// `hear` is called for all news until `stopListening` with the number returned, at once and on any thread.
    public func listen(_ hear: @escaping @Sendable (ExecutionNews) -> Void) -> UInt64 {
        state.withLock { state in
            state.nextNumber += 1
            state.listeners.append(Listener(number: state.nextNumber, hear: hear))
            return state.nextNumber
        }
    }

    public func stopListening(_ number: UInt64) {
        state.withLock { $0.listeners.removeAll { $0.number == number } }
    }

    func ring(_ news: ExecutionNews) {
        if case .changed = news { changes.ring() }
        for listener in state.withLock({ $0.listeners }) { listener.hear(news) }
    }
}
