/// Runs `body` and gives up at `duration` with a `timedOut` error, never with `CancellationError`.
/// `body` is cancelled at the deadline and must honour it: a task group waits for its children.
public func withDeadline<Result: Sendable>(
    _ duration: Duration,
    time: any TimeSource,
    what: @autoclosure @Sendable () -> String,
    _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Result?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await time.wait(for: duration)
            return nil
        }
        defer { group.cancelAll() }
        guard let first = try await group.next(), let result = first else {
            throw BerthError(.timedOut, "\(what()) took longer than \(duration)", isRetryable: true)
        }
        return result
    }
}
