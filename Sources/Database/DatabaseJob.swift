import Base
import Synchronization

/// A queued closure and its waiting task.
package protocol DatabaseJob: AnyObject, Sendable {
    var allowsWriting: Bool { get }
    /// One statement that needs no transaction around it.
    var isLookup: Bool { get }
    var isCancelled: Bool { get }
    /// False when the task has been told of its cancellation; the job is then dropped. After true it cannot be withdrawn.
    func begin() -> Bool
    /// Runs the closure and keeps its value. May be called again after a roll-back.
    func run(_ connection: any SQLConnection) throws
    /// Tells the task: the kept value when `error` is nil. Exactly once.
    func finish(_ error: (any Error)?)
}

package final class TypedDatabaseJob<Value: Sendable>: DatabaseJob {
    private struct State {
        var continuation: CheckedContinuation<Void, any Error>?
        var value: Value?
        var hasBegun = false
        var isCancelled = false
    }

    private let body: @Sendable (any SQLConnection) throws -> Value
    private let state = Mutex(State())
    package let allowsWriting: Bool
    package let isLookup: Bool

    package init(
        allowsWriting: Bool,
        isLookup: Bool = false,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) {
        self.allowsWriting = allowsWriting
        self.isLookup = isLookup
        self.body = body
    }

    package var isCancelled: Bool { state.withLock(\.isCancelled) }

    /// Hands the job to `enqueue` and waits for its end; cancelling the task withdraws it, or sets `isCancelled`.
    package func value(_ enqueue: (any DatabaseJob) -> Void) async throws -> Value {
        try await ended(enqueue)
        // It comes from another thread by way of the lock, which the thread sanitizer sees, unlike a continuation's.
        guard let value = state.withLock({ $0.value.take() }) else {
            throw BerthError(.internal, "a database closure left no value")
        }
        return value
    }

    private func ended(_ enqueue: (any DatabaseJob) -> Void) async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                if park(continuation) {
                    enqueue(self)
                } else {
                    continuation.resume(throwing: CancellationError())
                }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Stores the continuation; false when the task was cancelled before.
    private func park(_ continuation: CheckedContinuation<Void, any Error>) -> Bool {
        state.withLock { state in
            guard !state.isCancelled else { return false }
            state.continuation = continuation
            return true
        }
    }

    private func cancel() {
        let withdrawn = state.withLock { state -> CheckedContinuation<Void, any Error>? in
            state.isCancelled = true
            return state.hasBegun ? nil : state.continuation.take()
        }
        withdrawn?.resume(throwing: CancellationError())
    }

    package func begin() -> Bool {
        state.withLock { state in
            guard state.continuation != nil else { return false }
            state.hasBegun = true
            return true
        }
    }

    package func run(_ connection: any SQLConnection) throws {
        let value = try body(connection)
        state.withLock { $0.value = value }
    }

    package func finish(_ error: (any Error)?) {
        let continuation = state.withLock { $0.continuation.take() }
        if let error {
            continuation?.resume(throwing: error)
        } else {
            continuation?.resume()
        }
    }
}
