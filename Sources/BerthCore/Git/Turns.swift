internal import Synchronization

/// One at a time for each key, in the order of asking: two tasks in one mirror would trip over each other's locks.
final class Turns: Sendable {
    private struct Waiting {
        var ticket: UInt64
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        /// A key is here while somebody has its turn.
        var queues: [String: [Waiting]] = [:]
        var tickets: UInt64 = 0
        /// Cancelled before they had begun to wait.
        var withdrawn: Set<UInt64> = []
    }

    private let state = Mutex(State())

    func with<Value>(_ key: String, _ body: () async throws -> Value) async throws -> Value {
        try await take(key)
        defer { give(key) }
        return try await body()
    }

    /// Throws `CancellationError`, and then the turn was not taken.
    private func take(_ key: String) async throws {
        let ticket = state.withLock { state in
            state.tickets += 1
            return state.tickets
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let outcome: Result<Void, any Error>? = state.withLock { state in
                    if state.withdrawn.remove(ticket) != nil { return .failure(CancellationError()) }
                    guard state.queues[key] != nil else {
                        state.queues[key] = []
                        return .success(())
                    }
                    state.queues[key]?.append(Waiting(ticket: ticket, continuation: continuation))
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let waiting = state.withLock { state -> Waiting? in
                guard let place = state.queues[key]?.firstIndex(where: { $0.ticket == ticket }) else {
                    state.withdrawn.insert(ticket)
                    return nil
                }
                return state.queues[key]?.remove(at: place)
            }
            waiting?.continuation.resume(throwing: CancellationError())
        }
        // A cancellation that came when the turn was taken already has nothing to withdraw.
        state.withLock { _ = $0.withdrawn.remove(ticket) }
    }

    private func give(_ key: String) {
        let next = state.withLock { state -> Waiting? in
            guard var queue = state.queues[key], !queue.isEmpty else {
                state.queues[key] = nil
                return nil
            }
            let next = queue.removeFirst()
            state.queues[key] = queue
            return next
        }
        next?.continuation.resume()
    }
}
