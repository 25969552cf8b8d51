import Synchronization

/// Virtual machines without KVM take a processor each: only some are tested at a time.
final class MachineTurns: Sendable {
    static let shared = MachineTurns(free: 2)

    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    private init(free: Int) { state = Mutex(State(free: free)) }

    /// One test's turn; ``end()`` hands it on.
    struct Turn: Sendable {
        fileprivate let turns: MachineTurns

        func end() { turns.leave() }
    }

    func enter() async -> Turn {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.free > 0 {
                    state.free -= 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
        return Turn(turns: self)
    }

    private func leave() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.waiting.isEmpty {
                state.free += 1
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}
