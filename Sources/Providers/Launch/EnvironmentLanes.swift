internal import Base
internal import Domain
internal import Synchronization

/// One call at a time about an environment, for a provider whose calls are made of several steps.
final class EnvironmentLanes: Sendable {
    private let busy = Mutex<Set<EnvironmentID>>([])
    private let freed = Wakeup()

    /// Throws `CancellationError` when the task is cancelled before its turn.
    func run<Result>(_ environment: EnvironmentID, _ body: () async throws -> Result) async throws -> Result {
        while true {
            let count = freed.count
            if busy.withLock({ $0.insert(environment).inserted }) { break }
            try await freed.wait(after: count)
        }
        defer {
            _ = busy.withLock { $0.remove(environment) }
            freed.ring()
        }
        return try await body()
    }
}
