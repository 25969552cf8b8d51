import Synchronization

/// A bell for tasks that wait for a change of something: it counts its rings, so a ring between looking and waiting is
/// never missed. Take `count`, look, then wait for a ring after that count.
public final class Wakeup: Sendable {
    private struct State {
        var count: UInt64 = 0
        var nextID: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, any Error>] = [:]
    }

    private let state = Mutex(State())

    public init() {}

    /// Rings so far.
    public var count: UInt64 { state.withLock { $0.count } }

    /// Tasks that wait now.
    public var waiting: Int { state.withLock { $0.waiters.count } }

    public func ring() {
        let woken = state.withLock { state in
            state.count += 1
            defer { state.waiters.removeAll() }
            // In the order in which they came, so that a simulation repeats itself.
            return state.waiters.sorted { $0.key < $1.key }.map(\.value)
        }
        for waiter in woken { waiter.resume() }
    }

    /// Returns when it has rung more than `count` times; throws `CancellationError` when the task is cancelled.
    public func wait(after count: UInt64) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome = state.withLock { state -> Result<Void, any Error>? in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.count > count { return .success(()) }
                    state.waiters[id] = continuation
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
            waiter?.resume(throwing: CancellationError())
        }
    }

    /// As `wait(after:)`, but also returns at `deadline`.
    public func wait(after count: UInt64, until deadline: Uptime, time: any TimeSource) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.wait(after: count) }
            group.addTask { try await time.wait(until: deadline) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
