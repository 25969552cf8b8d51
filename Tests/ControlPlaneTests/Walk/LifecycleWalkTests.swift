import Accounts
import Base
import Database
import Domain
import Glibc
import TestSupport
import Testing

@testable import Environments

/// Seeded walks over the shipped service on real SQL: wishes of people, turns of jobs, words of workers, the passing of time
/// and faults of the provider in any order. After every step the quota is what the rows say; after every calm pass of the
/// reconciler nothing is past its deadline and the provider has nothing that no row has.
@Suite struct LifecycleWalkTests {
    private static let steps = 2500
    /// As many walks as `BERTH_WALKS` says: 40 are 100,000 operations.
    private static let seeds = 1...max(1, getenv("BERTH_WALKS").flatMap { UInt64(String(cString: $0)) } ?? 8)

    @Test(arguments: seeds)
    func `nothing sticks, nothing is orphaned, and the quota is exact at every step`(_ seed: UInt64) async throws {
        try await withDatabase { database in
            let walk = try await LifecycleWalk(seed: seed, database)
            let faults = try await walk.run(steps: Self.steps)
            #expect(faults > 50, "a walk without faults shows little")
        }
    }
}

struct LifecycleWalk: Sendable {
    private let seed: UInt64
    private let dice: any Randomness
    private let time = SettableTime()
    private let database: any SQLDatabase
    private let service: EnvironmentService
    private let provider: WalkProvider
    private let workers = WalkWorkers()
    private let jobs: WalkJobs
    private let organization: OrganizationID
    private let user: UserID

    init(seed: UInt64, _ database: any SQLDatabase) async throws {
        self.seed = seed
        self.database = database
        dice = SeededRandomness(seed: seed)
        let ids = IDSource(time: time, randomness: SeededRandomness(seed: seed &+ 1000))
        let feed = Feed(database)
        let principal = try await Accounts(
            database: database,
            feed: feed,
            ids: ids,
            time: time,
            randomness: SeededRandomness(seed: seed &+ 2000)
        )
        .bootstrapSingleUser()
        (organization, user) = (principal.organizationID, principal.userID)
        provider = WalkProvider(dice: dice)
        jobs = WalkJobs(time: time, ids: ids)
        service = EnvironmentService(
            database: database,
            feed: feed,
            instances: provider,
            workers: workers,
            observer: WalkObserver(),
            jobs: jobs,
            time: time,
            ids: ids,
            capacity: CapacityRules(
                tier: Tier(name: "pro", limits: .standard, idleStopMinutes: nil, maximumEnvironments: 6),
                machine: ResourceLimits(memoryBytes: 8 << 30),
                memoryOvercommitPercent: 250
            ),
            log: Log(sink: SilentSink(), time: time)
        )
    }

    /// Returns how many faults the provider had.
    func run(steps: Int) async throws -> Int {
        for step in 1...steps {
            do {
                try await take()
                try await checkBooks()
                if step % 40 == 0 { try await calm() }
            } catch let breach as Breach {
                throw breach.at(step, seed: seed)
            }
        }
        return provider.faults
    }

    private func roll(_ sides: Int) -> Int { min(sides - 1, Int(dice.fraction() * Double(sides))) }

    /// One step. A refusal is an answer, not a failure.
    private func take() async throws {
        let all = try await service.list(organization, visibleTo: user)
        do {
            guard !all.isEmpty, roll(8) > 0 else {
                var new = NewEnvironment(organizationID: organization, ownerID: user)
                if roll(6) == 0 { new.expiresAt = time.now + .seconds(600) }
                _ = try await service.create(new)
                return
            }
            try await touch(all[roll(all.count)])
        } catch let error as BerthError
            where [.illegalTransition, .quotaExceeded, .notFound, .stale, .conflict].contains(error.code)
        {}
    }

    private func touch(_ record: EnvironmentRecord) async throws {
        let id = record.id
        switch roll(20) {
        case 0, 1: _ = try await service.start(id, organization: organization, by: user, visibleTo: user)
        case 2: _ = try await service.stop(id, organization: organization, by: user, visibleTo: user)
        case 3: _ = try await service.pause(id, organization: organization, by: user, visibleTo: user)
        case 4: _ = try await service.resume(id, organization: organization, by: user, visibleTo: user)
        case 5: _ = try await service.retry(id, organization: organization, by: user, visibleTo: user)
        case 6: _ = try await service.destroy(id, organization: organization, by: user, visibleTo: user)
        case 7:
            guard roll(4) == 0 else { return }
            _ = try await service.destroyByForce(id, organization: organization, by: user, visibleTo: user)
        case 8: provider.hurt(id, vanishing: roll(4) == 0)
        case 9, 10: try await ready(record)
        case 11: workers.say(id, isReady: nil)
        case 12: time.advance(.seconds([1, 6, 61, 200][roll(4)]))
        case 13: try await service.reconcile()
        default: try await turn()
        }
    }

    private func ready(_ record: EnvironmentRecord) async throws {
        guard let instance = provider.instances[record.id], instance.condition == .running,
            let number = instance.number
        else { return }
        workers.say(record.id, isReady: number)
        try await service.workerReady(record.id, organization: organization, instance: number)
    }

    /// Returns whether there was a turn to give.
    @discardableResult
    private func turn() async throws -> Bool {
        guard let claim = jobs.next() else { return false }
        do { try await service.run(claim, interruption: Wakeup()) } catch is LostJob {}
        return true
    }

    /// The provider works, workers come, and everything that is due is done.
    private func calm() async throws {
        provider.setCalm(true)
        for _ in 0..<4 {
            try await service.reconcile()
            var count = 0
            while try await turn() {
                count += 1
                guard count < 500 else { throw Breach("the turns of jobs do not end") }
            }
            for record in try await service.list(organization, visibleTo: user) {
                do { try await ready(record) } catch let error as BerthError where error.code == .stale {}
            }
            // Tries that wait, and boots whose instance is gone.
            time.advance(.seconds(61))
        }
        try await service.reconcile()
        while try await turn() {}
        try await checkRest()
        try await checkBooks()
        provider.setCalm(false)
    }

    private func checkRest() async throws {
        let rows = try await service.list(organization, visibleTo: user)
        for row in rows {
            if let deadline = row.deadlineAt, deadline <= time.now {
                throw Breach("\(row.id) is \(row.state), past its deadline")
            }
            guard row.isSettled || row.state == .starting else {
                throw Breach("\(row.id) is \(row.state), wanted \(row.desired), after a calm pass")
            }
        }
        let known = Set(rows.map(\.id))
        for id in provider.instances.keys.sorted() where !known.contains(id) {
            throw Breach("the provider has \(id), which no row has")
        }
    }

    private func checkBooks() async throws {
        let rows = try await service.list(organization, visibleTo: user)
        let counted = rows.filter(\.state.counts)
        let used = try await service.quota(organization, user: user).environments
        guard used == counted.count, rows.filter(\.isCounted).count == used else {
            throw Breach("the quota says \(used), the rows \(counted.count)")
        }
        guard used <= 6 else { throw Breach("\(used) environments where the tier has 6") }
        let promised = counted.reduce(0) { $0 + ($1.spec.limits.memoryBytes ?? 0) }
        let books = try await database.read { try $0.first(Self.promised)?.integer("bytes") ?? 0 }
        guard books == promised, books <= 20 << 30 else {
            throw Breach("\(books) bytes are promised, the rows have \(promised)")
        }
    }

    private static let promised: SQL = "SELECT bytes FROM promised_memory"

    struct Breach: Error, CustomStringConvertible {
        var description: String

        init(_ words: String) { description = words }

        func at(_ step: Int, seed: UInt64) -> Breach { Breach("seed \(seed), step \(step): \(description)") }
    }
}
