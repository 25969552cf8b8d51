public import Base
public import Database
public import Domain

/// The job queues of the control plane. A job is a durable reminder, made in the transaction that makes it necessary; what
/// is to be done is read from its subject when its turn comes.
public struct JobService: Sendable {
    let database: any SQLDatabase
    let store: JobStore
    let seat: ReplicaSeat
    let policies: [WorkQueue: JobPolicy]
    let time: any TimeSource
    let ids: IDSource
    let randomness: any Randomness
    let log: Log
    let running = RunningJobs()
    /// Rings when a job may have become ready.
    let bell = Wakeup()

    /// - Parameters:
    ///   - seat: the server's lease, which is the lease of every job that it runs.
    ///   - policies: other than the documented ones.
    public init(
        database: any SQLDatabase,
        seat: ReplicaSeat,
        policies: [WorkQueue: JobPolicy] = [:],
        time: any TimeSource,
        ids: IDSource,
        randomness: any Randomness,
        log: Log
    ) {
        self.database = database
        store = JobStore(database.dialect)
        self.seat = seat
        self.policies = policies
        self.time = time
        self.ids = ids
        self.randomness = randomness
        self.log = log
    }

    /// For the test that prepares every statement.
    public static func statements(_ dialect: any SQLDialect) -> [SQL] { JobStore(dialect).statements }

    public func policy(_ queue: WorkQueue) -> JobPolicy { policies[queue] ?? queue.policy }

    /// Looks for work now. After a commit that made some.
    public func wake() { bell.ring() }

    func machine(_ record: JobRecord) -> JobMachine {
        let status: JobMachine.Status =
            switch (record.state, record.holder) {
            case (.active, let holder?): .active(holder)
            case (.queued, _), (.active, nil): .queued(runAt: record.runAt)
            case (.completed, _): .completed
            case (.failed, _): .failed(record.failure ?? FailureReason(.internal, "the reason was not recorded"))
            }
        return JobMachine(
            status: status,
            attempt: record.attempt,
            failures: record.failures,
            losses: record.losses,
            policy: policy(record.queue)
        )
    }

    /// Writes what changed, fenced by what was read. Returns false when the row had moved.
    func write(
        _ machine: JobMachine,
        over record: JobRecord,
        wishes: Int64? = nil,
        failure: FailureReason? = nil,
        at now: Timestamp,
        in connection: any SQLConnection
    ) throws -> Bool {
        var runAt: Timestamp?
        var holder: JobHolder?
        switch machine.status {
        case .queued(let at): runAt = at
        case .active(let own): holder = own
        case .completed, .failed: break
        }
        let isOver = machine.state == .completed || machine.state == .failed
        return try connection.run(
            JobStore.update,
            record.id,
            record.attempt,
            record.state.rawValue,
            wishes,
            machine.state.rawValue,
            machine.attempt,
            machine.failures,
            runAt,
            holder?.replica,
            holder?.fence,
            failure?.code.rawValue,
            failure?.message,
            failure?.remedy,
            machine.state == .active ? now : nil as Timestamp?,
            isOver ? now : nil as Timestamp?,
            machine.losses
        ) == 1
    }
}

// Reading.
extension JobService {
    /// Newest first.
    /// - Parameter user: nil to see those of every member.
    public func list(
        _ filter: JobFilter,
        organization: OrganizationID,
        visibleTo user: UserID?,
        after: JobID? = nil,
        limit: Int = 50
    ) async throws -> [JobRecord] {
        try await database.read { [policies] connection in
            try connection.rows(
                JobStore.list,
                organization,
                user,
                filter.queue?.rawValue,
                filter.state?.rawValue,
                filter.subject,
                after,
                limit
            ).map { try JobStore.record($0, policies) }
        }
    }

    /// The job and its turns, oldest first.
    public func get(_ id: JobID, organization: OrganizationID, visibleTo user: UserID?) async throws
        -> (job: JobRecord, attempts: [JobAttempt])
    {
        let found = try await database.read { [policies] connection -> (JobRecord, [JobAttempt])? in
            guard let row = try connection.first(JobStore.find, id, organization, user) else { return nil }
            let attempts = try connection.rows(JobStore.attempts, id, organization).map(JobStore.attempt)
            return (try JobStore.record(row, policies), attempts)
        }
        guard let found else {
            throw BerthError(.notFound, "there is no job \(id)", remedy: "list them with 'berth jobs ls'")
        }
        return found
    }

    /// - Parameter organization: nil: of all.
    public func depths(_ organization: OrganizationID? = nil) async throws -> [JobDepth] {
        let rows = try await database.read { try $0.rows(JobStore.depths, organization) }
        return try WorkQueue.allCases.map { queue in
            var depth = JobDepth(queue: queue, queued: 0, active: 0, completed: 0, failed: 0)
            for row in rows where try row.text("queue") == queue.rawValue {
                let count = try row.int("count")
                let oldest = try row.timestamp("oldest")
                switch try row.value("state") as JobState {
                case .queued: depth.queued = count
                case .active: depth.active = count
                case .completed: depth.completed = count
                case .failed: depth.failed = count
                }
                let state: JobState = try row.value("state")
                if state == .queued || state == .active { depth.oldestAt = min(depth.oldestAt ?? oldest, oldest) }
            }
            return depth
        }
    }
}
