import Base
import Database

/// Deletes changes that are older than the configuration keeps them.
struct ChangeRetention: Sendable {
    let feed: Feed
    let time: any TimeSource
    /// nil: they are kept for ever.
    let age: Duration?
    /// What comes after this number of an organization is kept all the same, for those that have yet to read it.
    let floor: @Sendable (OrganizationID) async throws -> Int64
    let log: Log

    private static let interval = Duration.seconds(3600)

    func run() async throws {
        while true {
            if let age {
                let cutoff = time.now + .milliseconds(-age.wholeMilliseconds)
                let count = try await feed.prune(before: cutoff, keepingAfter: floor)
                if count > 0 { log.info("old changes deleted", ["count": count]) }
            }
            try await time.wait(for: Self.interval)
        }
    }
}
