internal import EventLoop
internal import Synchronization

/// Tells those who wait that something moved on. Whoever waits names the revision it has seen, so nothing is missed.
final class Beacon: Sendable {
    private struct State {
        var revision: UInt64 = 0
        var waiters: [Waiter<Void>] = []
    }

    private let loop: EventLoop
    private let state = Mutex(State())

    init(loop: EventLoop) { self.loop = loop }

    var revision: UInt64 { state.withLock { $0.revision } }

    func advance() {
        let woken = state.withLock { state -> [Waiter<Void>] in
            state.revision += 1
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in woken { waiter.resume() }
    }

    /// Returns when the revision is no longer `seen`; throws `CancellationError`.
    func wait(after seen: UInt64) async throws {
        if revision != seen { return try Task.checkCancellation() }
        try await loop.suspend { (waiter: Waiter<Void>) in
            let isLate = self.state.withLock { state -> Bool in
                if state.revision != seen { return true }
                state.waiters.removeAll { !$0.isWaiting }
                state.waiters.append(waiter)
                return false
            }
            if isLate { waiter.resume() }
        }
    }
}
