import Base
import Synchronization

/// Wakes tasks that wait for an organization's next event.
final class FeedSignal: Sendable {
    private struct Waiter {
        let id: Int
        let after: Int64
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var positions: [OrganizationID: Int64] = [:]
        var waiters: [OrganizationID: [Waiter]] = [:]
        var nextID = 0
    }

    private let state = Mutex(State())

    func advance(_ organization: OrganizationID, to seq: Int64) {
        let woken = state.withLock { state -> [Waiter] in
            // Group members resume in any order.
            state.positions[organization] = max(state.positions[organization] ?? 0, seq)
            let all = state.waiters[organization] ?? []
            let staying = all.filter { $0.after >= seq }
            state.waiters[organization] = staying.isEmpty ? nil : staying
            return all.filter { $0.after < seq }
        }
        for waiter in woken { waiter.continuation.resume() }
    }

    /// Those that somebody waits for.
    var organizations: [OrganizationID] { state.withLock { $0.waiters.keys.sorted { $0.text < $1.text } } }

    func wait(_ organization: OrganizationID, after seq: Int64) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isReady = state.withLock { state -> Result<Void, any Error>? in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.positions[organization] ?? 0 > seq { return .success(()) }
                    state.waiters[organization, default: []]
                        .append(Waiter(id: id, after: seq, continuation: continuation))
                    return nil
                }
                if let isReady { continuation.resume(with: isReady) }
            }
        } onCancel: {
            let cancelled = state.withLock { state -> Waiter? in
                guard let index = state.waiters[organization]?.firstIndex(where: { $0.id == id }) else { return nil }
                return state.waiters[organization]?.remove(at: index)
            }
            cancelled?.continuation.resume(throwing: CancellationError())
        }
    }
}
