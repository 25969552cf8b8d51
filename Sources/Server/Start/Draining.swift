import Base
import Synchronization

/// Says that the server stops, so that whoever only waits for news ends at once and its client comes back later.
final class Draining: Sendable {
    private let flag = Mutex(false)
    private let bell = Wakeup()

    var hasBegun: Bool { flag.withLock { $0 } }

    func begin() {
        flag.withLock { $0 = true }
        bell.ring()
    }

    /// Waits with `body` for news. Throws `unavailable` once the server stops.
    func wait(_ body: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await body() }
            group.addTask { [bell] in try await bell.wait(after: 0) }
            defer { group.cancelAll() }
            try await group.next()
        }
        guard !hasBegun else {
            throw BerthError(.unavailable, "the server is stopping", remedy: "try again in a moment", isRetryable: true)
        }
    }
}
