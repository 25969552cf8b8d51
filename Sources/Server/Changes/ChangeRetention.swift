import Base
import Database

/// Deletes changes that are older than the configuration keeps them.
struct ChangeRetention: Sendable {
    let feed: Feed
    let time: any TimeSource
    /// nil: they are kept for ever.
    let age: Duration?
    let log: Log

    private static let interval = Duration.seconds(3600)

    func run() async throws {
        while true {
            if let age {
                let count = try await feed.prune(before: time.now + .milliseconds(-age.wholeMilliseconds)) { _ in .max }
                if count > 0 { log.info("old changes deleted", ["count": count]) }
            }
            try await time.wait(for: Self.interval)
        }
    }
}
