public import Base
public import Database
public import Domain
import FoundationEssentials

/// Environments: what people want is written here, and in the same transaction a job that closes the gap.
public struct EnvironmentService: Sendable {
    let database: any SQLDatabase
    let feed: Feed
    let instances: any InstanceProviding
    let workers: any WorkerAdmission
    let observer: any EnvironmentObserver
    let jobs: any EnvironmentJobs
    let time: any TimeSource
    let ids: IDSource
    let times: EnvironmentTimes
    let log: Log
    /// The server whose environments it drives.
    let replica: ReplicaID
    let quotas: QuotaBook
    /// Whether new environments are on this server's machine; else the first server that takes their job has them.
    let isHome: Bool
    let byID: RowQuery<StoredEnvironment>
    let reported = ReportedOrphans()
    let bells = EnvironmentBells()
    let provisioningLog: ProvisioningLog
    /// nil: no machines wait here.
    let spares: SpareConfiguration?
    let pool: WarmPool
    let activity = ActivityBoard()
    /// Rung when a worker has said what goes on.
    let reports = EnvironmentBells()
    let written = WrittenVersions()
    /// Rings when the providers should be asked before their time.
    let reconcileBell = Wakeup()

    public init(
        database: any SQLDatabase,
        feed: Feed,
        instances: any InstanceProviding,
        workers: any WorkerAdmission,
        observer: any EnvironmentObserver,
        jobs: any EnvironmentJobs,
        time: any TimeSource,
        ids: IDSource,
        times: EnvironmentTimes = EnvironmentTimes(),
        replica: ReplicaID = .alone,
        isHome: Bool = true,
        capacity: CapacityRules = CapacityRules(),
        spares: SpareConfiguration? = nil,
        log: Log
    ) {
        quotas = QuotaBook(rules: capacity)
        self.database = database
        self.feed = feed
        let provisioningLog = ProvisioningLog(time: time)
        self.provisioningLog = provisioningLog
        self.instances = LoggedInstances(instances, provisioningLog, database, bells)
        self.workers = workers
        self.observer = observer
        self.jobs = jobs
        self.time = time
        self.ids = ids
        self.times = times
        self.log = log
        self.replica = replica
        self.isHome = isHome
        self.spares = spares
        pool = WarmPool(beganAt: time.uptime)
        byID = RowQuery(EnvironmentStore.byID) { try EnvironmentStore.stored($0, times: times) }
    }

    /// For the test that prepares every statement.
    public static var statements: [SQL] {
        EnvironmentStore.statements + ProvisioningLog.statements + QuotaBook.statements + SpareStore.statements
            + SnapshotStore.statements
            + [transitions, setSpec]
    }

    /// Reads the row, lets the machine take `event`, writes under the fence of what was read and records the fact. Where
    /// that leaves something to be done, a job for it is in the same transaction.
    /// - Parameters:
    ///   - claim: the change is a job's: refused with `LostJob` when its turn has passed on; what is left, it does itself.
    ///   - interrupts: the job that is at the environment is broken into.
    @discardableResult
    func change(
        _ id: EnvironmentID,
        _ organization: OrganizationID,
        actor: UserID? = nil,
        message: String? = nil,
        limitations: [String]? = nil,
        claim: JobClaim? = nil,
        interrupts: Bool = false,
        _ event: @escaping @Sendable (inout EnvironmentMachine) throws -> Void
    ) async throws -> Changed {
        let now = time.now
        let after = try await withMovingRows {
            try await feed.transaction(organization: organization) { [self] transaction in
                if let claim { try jobs.check(claim, in: transaction) }
                let stored = try read(id, organization, in: transaction)
                var machine = stored.machine
                try event(&machine)
                let before = stored.record.state
                guard machine != stored.machine else {
                    return Changed(stored: stored, before: before, isChanged: false)
                }
                let after = try write(
                    machine,
                    over: stored,
                    actor: actor,
                    message: message,
                    limitations: limitations,
                    at: now,
                    in: transaction
                )
                // A wish of a person is use.
                if actor != nil { try transaction.run(EnvironmentStore.used, id, now) }
                if claim == nil { try demand(after, at: now, in: transaction) }
                if interrupts { try jobs.interrupt(id.text, in: transaction) }
                return Changed(stored: after, before: before, isChanged: true)
            }
            .value
        }
        if after.isChanged { await tell(after.record) }
        if claim == nil { jobs.wake() }
        if interrupts { jobs.interruptHere(id.text) }
        return after
    }

    func read(_ id: EnvironmentID, _ organization: OrganizationID, in connection: any SQLConnection) throws
        -> StoredEnvironment
    {
        guard let row = try connection.first(EnvironmentStore.byID, id, organization) else { throw Self.unknown(id) }
        return try EnvironmentStore.stored(row, times: times)
    }

    func write(
        _ machine: EnvironmentMachine,
        over stored: StoredEnvironment,
        actor: UserID? = nil,
        message: String? = nil,
        limitations: [String]? = nil,
        at now: Timestamp,
        in transaction: FeedTransaction
    ) throws -> StoredEnvironment {
        try EnvironmentStore.write(
            machine,
            over: stored,
            message: message,
            limitations: limitations,
            at: now,
            in: transaction
        )
        try quotas.follow(stored.record, to: machine.state, in: transaction)
        if machine.state == .destroyed { try transaction.run(SnapshotStore.abandon, stored.record.id) }
        let after = try read(stored.record.id, stored.record.organizationID, in: transaction)
        let type =
            after.record.state != stored.record.state
            ? "environment.\(after.record.state)"
            : after.record.desired != stored.record.desired ? "environment.wanted" : "environment.changed"
        transaction.record(try Self.fact(type, after.record, by: actor, at: now))
        try tell(of: after.record, before: stored.record, in: transaction)
        return after
    }

    /// A job for what is to be done next, if there is something.
    func demand(_ stored: StoredEnvironment, at now: Timestamp, in connection: any SQLConnection) throws {
        guard let operation = stored.machine.demand(at: now) else { return }
        try jobs.ensure(
            operation.queue,
            operation.rawValue,
            subject: stored.record.id.text,
            organization: stored.record.organizationID,
            owner: stored.record.ownerID,
            home: stored.record.replicaID,
            in: connection
        )
    }

    func tell(_ record: EnvironmentRecord) async {
        written.note(record.id, record.version)
        bells.ring(record.id)
        pool.note(record)
        await observer.environmentChanged(record.id, organization: record.organizationID)
    }

    struct Changed: Sendable {
        var stored: StoredEnvironment
        var before: EnvironmentState
        var isChanged: Bool
        var record: EnvironmentRecord { stored.record }
        var machine: EnvironmentMachine { stored.machine }
    }

    static func unknown(_ id: EnvironmentID) -> BerthError {
        BerthError(.notFound, "there is no environment \(id)", remedy: "list them with 'berth env ls'")
    }

    static func fact(_ type: String, _ record: EnvironmentRecord, by actor: UserID?, at: Timestamp) throws -> NewEvent {
        struct Fact: Encodable {
            var state: EnvironmentState
            var desired: DesiredState
            var instance: Int64
            var version: Int64
            var message: String?
            var cause: EnvironmentCause?
        }
        let fact = Fact(
            state: record.state,
            desired: record.desired,
            instance: record.instance,
            version: record.version,
            message: record.message,
            cause: record.cause
        )
        return NewEvent(
            type,
            subject: record.id,
            ownerID: record.ownerID,
            actorID: actor,
            payload: try EnvironmentStore.text(fact),
            at: at
        )
    }
}

// Reading.
extension EnvironmentService {
    /// - Parameter user: nil to see those of every member.
    public func get(_ id: EnvironmentID, organization: OrganizationID, visibleTo user: UserID?) async throws
        -> EnvironmentRecord
    {
        try await stored(id, organization, visibleTo: user).record
    }

    func stored(_ id: EnvironmentID, _ organization: OrganizationID, visibleTo user: UserID?) async throws
        -> StoredEnvironment
    {
        let stored = try await database.find(byID, id, organization)
        guard let stored, user == nil || stored.record.isVisible(to: user) else { throw Self.unknown(id) }
        return stored
    }

    /// By id or by the user's own name for it.
    public func find(_ nameOrID: String, organization: OrganizationID, user: UserID) async throws -> EnvironmentRecord {
        if let id = try? EnvironmentID(nameOrID) {
            return try await get(id, organization: organization, visibleTo: user)
        }
        let times = times
        let stored = try await database.read { connection in
            try connection.first(EnvironmentStore.byName, organization, user, nameOrID).map {
                try EnvironmentStore.stored($0, times: times)
            }
        }
        guard let stored else {
            throw BerthError(
                .notFound,
                "you have no environment '\(nameOrID.prefix(80))'",
                field: "environment",
                remedy: "list them with 'berth env ls'"
            )
        }
        return stored.record
    }

    /// By id. `after` is the last one of the page before.
    public func list(
        _ organization: OrganizationID,
        visibleTo user: UserID?,
        after: EnvironmentID? = nil,
        limit: Int = 100
    ) async throws -> [EnvironmentRecord] {
        try await database.read { [self] connection in
            try list(organization, visibleTo: user, after: after, limit: limit, in: connection)
        }
    }

    /// As above, within a read of the caller's.
    public func list(
        _ organization: OrganizationID,
        visibleTo user: UserID?,
        after: EnvironmentID?,
        limit: Int,
        in connection: any SQLConnection
    ) throws -> [EnvironmentRecord] {
        try connection.rows(EnvironmentStore.list, organization, user, after?.text ?? "", limit).map {
            try EnvironmentStore.stored($0, times: times).record
        }
    }

    /// nil where there is none that `user` may see.
    public func find(
        _ id: EnvironmentID,
        organization: OrganizationID,
        visibleTo user: UserID?,
        in connection: any SQLConnection
    ) throws -> EnvironmentRecord? {
        let row = try connection.first(EnvironmentStore.byID, id, organization)
        let record = try row.map { try EnvironmentStore.stored($0, times: times).record }
        return record.flatMap { $0.isVisible(to: user) ? $0 : nil }
    }

    /// The facts that led to the present state, newest first.
    public func why(_ id: EnvironmentID, organization: OrganizationID, visibleTo user: UserID?, limit: Int = 20)
        async throws -> EnvironmentHistory
    {
        let record = try await get(id, organization: organization, visibleTo: user)
        let facts = try await database.read { connection in
            try connection.rows(EnvironmentStore.facts, organization, id, limit).map { row in
                EnvironmentHistory.Fact(
                    seq: try row.integer("seq"),
                    type: try row.text("type"),
                    payload: try row.text("payload"),
                    actorID: try row.optionalID("actor_id"),
                    at: try row.timestamp("recorded_at")
                )
            }
        }
        return EnvironmentHistory(environment: record, facts: facts)
    }

    /// Returns when the environment rests in what is wanted, or in error; throws `timed_out` after `limit`.
    public func settled(_ id: EnvironmentID, organization: OrganizationID, within limit: Duration) async throws
        -> EnvironmentRecord
    {
        let bell = bells.bell(for: id)
        let deadline = time.uptime + limit
        while true {
            let count = bell.count
            let record = try await get(id, organization: organization, visibleTo: nil)
            if record.isSettled { return record }
            guard time.uptime < deadline else {
                throw BerthError(.timedOut, "environment \(id) is still \(record.state)", isRetryable: true)
            }
            try await bell.wait(after: count, until: deadline, time: time)
        }
    }
}
