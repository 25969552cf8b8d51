import Base
import Domain
import EventLoop
import Synchronization

/// What this process knows of the hand-overs that it works on; every truth about them is in their rows.
final class HandOverDesk: Sendable {
    let loop: EventLoop
    /// Rings when there is something to do.
    let bell = Wakeup()
    private let state = Mutex(State())

    private struct State {
        var taken: Set<HandOverID> = []
        /// Not to be tried before.
        var pauses: [HandOverID: (until: Uptime, backoff: Backoff)] = [:]
    }

    init(loop: EventLoop) { self.loop = loop }

    /// Whether nobody works on it and it may be tried; then it is the caller's until ``give(_:)``.
    func take(_ id: HandOverID, at now: Uptime) -> Bool {
        state.withLock { state in
            if let pause = state.pauses[id], pause.until > now { return false }
            return state.taken.insert(id).inserted
        }
    }

    func give(_ id: HandOverID) { state.withLock { _ = $0.taken.remove(id) } }

    /// The try failed.
    func pause(_ id: HandOverID, at now: Uptime, _ randomness: any Randomness) {
        state.withLock { state in
            var backoff = state.pauses[id]?.backoff ?? Backoff(first: .milliseconds(500), limit: .seconds(30))
            let wait = backoff.next(randomness)
            state.pauses[id] = (now + wait, backoff)
        }
    }

    /// At once, whatever failed before.
    func hurry(_ id: HandOverID) {
        state.withLock { $0.pauses[id] = nil }
        bell.ring()
    }
}
