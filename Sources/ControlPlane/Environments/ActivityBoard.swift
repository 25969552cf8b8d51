import Base
import Domain
import Synchronization

/// What workers last said of the environments whose connections are here. Memory only: they say it again.
final class ActivityBoard: Sendable {
    struct Entry: Sendable {
        var organizationID: OrganizationID
        var instance: Int64
        var report: ActivityReport
        /// When the report came.
        var at: Timestamp
        /// Nothing is due before this.
        var lookAt: Timestamp
    }

    private struct State {
        var entries: [EnvironmentID: Entry] = [:]
        /// When somebody last came to an environment by way of this server.
        var visits: [EnvironmentID: Timestamp] = [:]
    }

    /// How often a visit is written down; far less than the shortest idle time, which is 5 minutes.
    private static let visitEvery = Duration.seconds(30)
    private static let visitsKept = 4096
    /// What a worker may make the server keep.
    private static let usesKept = 16

    private let state = Mutex(State())

    func note(
        _ report: ActivityReport,
        of environment: EnvironmentID,
        _ organization: OrganizationID,
        instance: Int64,
        at now: Timestamp
    ) {
        let report = ActivityReport(
            uses: report.uses.prefix(Self.usesKept).map { use in
                var use = use
                use.kind = String(use.kind.prefix(20))
                return use
            }
        )
        state.withLock { state in
            let known = state.entries[environment]
            let lookAt = known.map { $0.instance == instance ? $0.lookAt : now } ?? now
            state.entries[environment] = Entry(
                organizationID: organization,
                instance: instance,
                report: report,
                at: now,
                lookAt: lookAt
            )
        }
    }

    func entry(_ environment: EnvironmentID) -> Entry? { state.withLock { $0.entries[environment] } }

    /// Those that are to be looked at, by id.
    func due(at now: Timestamp) -> [EnvironmentID] {
        state.withLock { $0.entries.filter { $0.value.lookAt <= now }.map(\.key) }.sorted()
    }

    func look(at environment: EnvironmentID, notBefore moment: Timestamp) {
        state.withLock { $0.entries[environment]?.lookAt = moment }
    }

    func forget(_ environment: EnvironmentID) {
        state.withLock { state in
            state.entries[environment] = nil
            state.visits[environment] = nil
        }
    }

    /// Somebody comes to it. Returns whether that is to be written down.
    func visit(_ environment: EnvironmentID, at now: Timestamp) -> Bool {
        state.withLock { state in
            if let last = state.visits[environment], now >= last, now < last + Self.visitEvery { return false }
            if state.visits.count >= Self.visitsKept { state.visits.removeAll() }
            state.visits[environment] = now
            return true
        }
    }
}
