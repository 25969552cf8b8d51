import Accounts
import Base
import Database
import Environments
import Executions
import Replicas
import Synchronization
import Workers

/// What other servers of the database have changed, carried to those who wait for it here: viewers, the workers that are
/// connected here, the dispatcher. Everything is read from the feed; a wake-up only says where to look, and without one
/// each organization is looked at from time to time.
final class ForeignChanges: Sendable {
    private static let pollInterval = Duration.seconds(5)
    private static let pageLength = 500
    private let database: any SQLDatabase
    private let feed: Feed
    private let executions: ExecutionService
    private let environments: EnvironmentService
    private let workers: WorkerService
    private let replicas: ReplicaService
    private let time: any TimeSource
    private let news = News()
    /// Up to where each organization's events were carried; nil before the first look. What was before this server began
    /// is read by everyone who begins.
    private let positions = Mutex<[OrganizationID: Int64]?>(nil)

    init(
        database: any SQLDatabase,
        feed: Feed,
        executions: ExecutionService,
        environments: EnvironmentService,
        workers: WorkerService,
        replicas: ReplicaService,
        time: any TimeSource
    ) {
        self.database = database
        self.feed = feed
        self.executions = executions
        self.environments = environments
        self.workers = workers
        self.replicas = replicas
        self.time = time
        database.wakeUps?.listen(Feed.topic) { [news] in news.hear($0) }
    }

    /// Runs until cancelled; begun again after a failure, it goes on where it was.
    func run() async throws {
        if positions.withLock({ $0 == nil }) {
            let all = try await all()
            positions.withLock { $0 = all }
        }
        var polledAt = time.uptime
        while true {
            let count = news.bell.count
            let (told, mayHaveMissed) = news.take()
            var goals = told
            if mayHaveMissed || time.uptime - polledAt >= Self.pollInterval {
                do {
                    goals = try await all()
                    // Nobody else could have changed anything.
                    if told.isEmpty, !mayHaveMissed, try await replicas.living().count <= 1 { skip(to: goals) }
                } catch {
                    news.hear(nil)
                    throw error
                }
                polledAt = time.uptime
                if mayHaveMissed { executions.lookAgain() }
            }
            for (organization, goal) in goals.sorted(by: { $0.key < $1.key }) {
                try await follow(organization, upTo: goal)
            }
            try await news.bell.wait(after: count, until: polledAt + Self.pollInterval, time: time)
        }
    }

    private func skip(to goals: [OrganizationID: Int64]) {
        positions.withLock { $0?.merge(goals) { max($0, $1) } }
    }

    private func all() async throws -> [OrganizationID: Int64] {
        try await database.read { connection in
            var positions: [OrganizationID: Int64] = [:]
            try connection.forEach(Self.positions, []) { row in
                positions[try row.id("organization_id")] = try row.integer("seq")
                return true
            }
            return positions
        }
    }

    static let positions: SQL = "SELECT organization_id, seq FROM feed ORDER BY organization_id"

    private func follow(_ organization: OrganizationID, upTo goal: Int64) async throws {
        var last = positions.withLock { $0?[organization] ?? 0 }
        while last < goal {
            let page = try await feed.read(organization, after: last, limit: Self.pageLength, visibleTo: nil)
            for event in page { await carry(event) }
            // Old events may have been deleted.
            last = page.last?.seq ?? goal
            positions.withLock { [last] in $0?[organization] = last }
        }
    }

    /// Own changes come by as well: what was done for them already is not done again, or does no harm.
    private func carry(_ event: Event) async {
        if event.type.hasPrefix("execution.") {
            guard let id = try? ExecutionID(event.subject) else { return }
            await executions.heard(id, type: event.type, payload: event.payload)
        } else if event.type.hasPrefix("environment.") {
            guard let id = try? EnvironmentID(event.subject) else { return }
            environments.heard(id, organization: event.organizationID, type: event.type, payload: event.payload)
        } else if event.type == "worker.connected" {
            guard let id = try? WorkerID(event.subject) else { return }
            await workers.heardConnection(id, payload: event.payload)
        }
    }
}

/// What wake-ups have said since the last look. Any thread may tell.
private final class News: Sendable {
    private struct State {
        var told: [OrganizationID: Int64] = [:]
        var mayHaveMissed = false
    }

    let bell = Wakeup()
    private let state = Mutex(State())

    func hear(_ wakeUp: WakeUp?) {
        state.withLock { state in
            guard let wakeUp else {
                state.mayHaveMissed = true
                return
            }
            guard let organization = try? OrganizationID(wakeUp.subject), let seq = Int64(wakeUp.payload) else {
                return
            }
            state.told[organization] = max(state.told[organization] ?? 0, seq)
        }
        bell.ring()
    }

    func take() -> (told: [OrganizationID: Int64], mayHaveMissed: Bool) {
        state.withLock { state in
            defer { state = State() }
            return (state.told, state.mayHaveMissed)
        }
    }
}
