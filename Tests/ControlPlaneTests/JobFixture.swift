import Base
import Database
import Domain
import Synchronization
import TestSupport

@testable import Jobs

/// Queues on a database of their own, with work that a test scripts.
struct JobFixture: Sendable {
    let database: any SQLDatabase
    let feed: Feed
    let organization: OrganizationID
    let ids: IDSource

    static func with(_ engine: DatabaseEngine = .sqlite, _ body: (JobFixture) async throws -> Void) async throws {
        try await withDatabase(on: engine) { database in
            let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())
            let organization: OrganizationID = ids.make()
            try await database.write { connection in
                try connection.run("INSERT INTO organizations (id, name, created_at) VALUES ($1, 'o', 1)", organization)
                try connection.run("INSERT INTO feed (organization_id) VALUES ($1)", organization)
            }
            try await body(JobFixture(database: database, feed: Feed(database), organization: organization, ids: ids))
        }
    }

    /// A server's queues; `fence` counts its starts.
    func service(
        fence: Int64 = 1,
        time: any TimeSource = SystemTime(),
        policies: [WorkQueue: JobPolicy] = ControlPlane.quickly
    ) -> JobService {
        let seat = ReplicaSeat()
        seat.change { $0.registered(fence: fence, sentAt: time.uptime) }
        return JobService(
            database: database,
            seat: seat,
            policies: policies,
            time: time,
            ids: ids,
            randomness: SeededRandomness(seed: 1),
            log: Log(sink: SilentSink(), time: time)
        )
    }

    func ask(_ service: JobService, _ subject: String, _ action: String = "stop", _ queue: WorkQueue = .control)
        async throws
    {
        let organization = organization
        try await database.write { connection in
            try service.ensure(
                queue,
                action,
                subject: subject,
                organization: organization,
                owner: nil,
                home: nil,
                in: connection
            )
        }
        service.wake()
    }

    func jobs(_ service: JobService, _ subject: String? = nil) async throws -> [JobRecord] {
        try await service.list(JobFilter(subject: subject), organization: organization, visibleTo: nil, limit: 1000)
    }

    /// Runs the service's loops while `body` runs.
    func running(
        _ service: JobService,
        _ handler: ScriptedJobs,
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                do { try await service.run(handler) } catch is CancellationError {}
                return false
            }
            group.addTask {
                try await body()
                return true
            }
            defer { group.cancelAll() }
            while let isDone = try await group.next(), !isDone {}
        }
    }
}

/// Does what a test says for each turn.
final class ScriptedJobs: JobHandler {
    struct State: Sendable {
        var turns: [JobClaim] = []
        var running: [String: Int] = [:]
        /// The most that ran at once, by queue, and by thing.
        var most: [WorkQueue: Int] = [:]
        var mostOfOne = 0
        var lost: [JobClaim] = []
    }

    private let service: JobService
    private let feed: Feed
    private let work: @Sendable (JobClaim, Wakeup) async throws -> Void
    let state = Mutex(State())
    let bell = Wakeup()

    init(
        _ service: JobService,
        _ feed: Feed,
        _ work: @escaping @Sendable (JobClaim, Wakeup) async throws -> Void = { _, _ in }
    ) {
        self.service = service
        self.feed = feed
        self.work = work
    }

    var turns: [JobClaim] { state.withLock { $0.turns } }

    func run(_ claim: JobClaim, interruption: Wakeup) async throws {
        state.withLock { $0.turns.append(claim) }
        defer { bell.ring() }
        var current: JobClaim? = claim
        while let claim = current {
            do {
                try await counted(claim, interruption)
            } catch let error as BerthError {
                _ = try await feed.transaction(organization: claim.organizationID) { [service] in
                    try service.fail(claim, FailureReason(error), isFinal: error.code == .unsupported, in: $0)
                }
                return
            }
            current = try await finish(claim)
        }
    }

    /// Before its end is written: what comes after that is no longer this turn's.
    private func counted(_ claim: JobClaim, _ interruption: Wakeup) async throws {
        state.withLock { state in
            for name in [claim.queue.rawValue, claim.subject] { state.running[name, default: 0] += 1 }
            state.most[claim.queue] = max(state.most[claim.queue] ?? 0, state.running[claim.queue.rawValue] ?? 0)
            state.mostOfOne = max(state.mostOfOne, state.running[claim.subject] ?? 0)
        }
        defer {
            state.withLock { state in
                for name in [claim.queue.rawValue, claim.subject] { state.running[name, default: 0] -= 1 }
            }
        }
        try await work(claim, interruption)
    }

    private func finish(_ claim: JobClaim) async throws -> JobClaim? {
        try await service.database.write { [service] in try service.complete(claim, in: $0) }
    }

    func lost(_ claim: JobClaim, _ reason: FailureReason) async throws {
        state.withLock { $0.lost.append(claim) }
        _ = try await feed.transaction(organization: claim.organizationID) { [service] in
            try service.lose(claim, reason, in: $0)
        }
        bell.ring()
    }

    /// Fails after 30 s.
    func wait(_ isReached: @escaping @Sendable (ScriptedJobs) async throws -> Bool) async throws {
        try await withDeadline(.seconds(30), time: SystemTime(), what: "the jobs") {
            while true {
                let count = self.bell.count
                if try await isReached(self) { return }
                try await self.bell.wait(after: count)
            }
        }
    }
}
