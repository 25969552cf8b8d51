import Glibc
import Synchronization

/// Lets a test step in while a closure holds an engine's thread.
public final class ThreadGate: Sendable {
    private struct State {
        var isOpen = false
        var hasPassed = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    public init() {}

    public func open() {
        let waiter = state.withLock { state in
            state.isOpen = true
            return state.waiter.take()
        }
        waiter?.resume()
    }

    public func opened() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiter = continuation }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    public func pass() { state.withLock { $0.hasPassed = true } }

    /// Gives the processor away until then, for ten seconds at most.
    public func waitUntilPassed() {
        let end = time(nil) + 10
        while !state.withLock(\.hasPassed), time(nil) < end { sched_yield() }
    }
}
