public import Base
public import Crypto
public import Database
public import Domain
import FoundationEssentials
import OpenSSL

/// Executions from request to recorded end. Every public call names the organization; an id of another is `not_found`.
/// A class, because every request's closures hold it.
public final class ExecutionService: Sendable {
    let database: any SQLDatabase
    let feed: Feed
    let sealing: InputSealing
    let workers: any WorkerPool
    let environments: any EnvironmentWaking
    let output: any OutputStoring
    let workspaces: any WorkspaceObserver
    let time: any TimeSource
    let ids: IDSource
    let times: ExecutionTimes
    let log: Log
    let live = LiveAttempts()
    let sound = SoundStreams()
    let lateDigests = LateDigests()
    let bells = ExecutionBells()
    /// Rings when something may be dispatched.
    let dispatchBell = Wakeup()
    let queue = QueueHint()
    let deadlines = DeadlineWatch()
    let inFlight = InFlight()
    public let tally = ExecutionTally()

    public init(
        database: any SQLDatabase,
        feed: Feed,
        sealer: Sealer,
        workers: any WorkerPool,
        environments: any EnvironmentWaking,
        output: any OutputStoring,
        workspaces: any WorkspaceObserver,
        time: any TimeSource,
        ids: IDSource,
        times: ExecutionTimes = ExecutionTimes(),
        log: Log
    ) {
        self.database = database
        self.feed = feed
        sealing = InputSealing(sealer: sealer)
        self.workers = workers
        self.environments = environments
        self.output = output
        self.workspaces = workspaces
        self.time = time
        self.ids = ids
        self.times = times
        self.log = log
    }

    /// For the test that prepares every statement.
    public static var statements: [SQL] {
        ExecutionStore.statements + ExecutionOrigin.statements + [storeOutDigest, storeErrDigest]
    }

    /// As `statements`, for what the engines say differently.
    public static func statements(_ dialect: any SQLDialect) -> [SQL] { [HeldWorker.statement(dialect)] }

    /// What one write did.
    struct Change: Sendable {
        var stored: StoredExecution
        var effects: [ExecutionMachine.Effect]
        var seq: Int64?
        var record: ExecutionRecord { stored.record }
    }

    /// What a step makes of an execution; nothing is written where the machine stays as it is.
    private struct Decision: Sendable {
        var stored: StoredExecution
        var effects: [ExecutionMachine.Effect]
        var written: WrittenStep?
    }

    /// Lets the machine of what is `known`, else of the row, take `event`, writes what changed under the fence of it,
    /// records the fact; then, outside, carries out the effects.
    /// - Parameter known: the row as it was last seen. When it has moved since, the row is read.
    @discardableResult
    func change(
        _ id: ExecutionID,
        _ organization: OrganizationID,
        known: StoredExecution? = nil,
        actor: UserID? = nil,
        worker: WorkerID? = nil,
        by fence: HeldWorker? = nil,
        report: WrittenReport? = nil,
        startedAt: Timestamp? = nil,
        _ event: @escaping @Sendable (inout ExecutionMachine, ExecutionRecord) throws -> [ExecutionMachine.Effect]
    ) async throws -> Change {
        let now = time.now
        let times = times
        let database = database
        let decide: @Sendable (StoredExecution) throws -> Decision = { old in
            if let worker, let claim = old.machine.claim, claim.workerID != worker {
                throw BerthError.stale("worker", held: worker, current: claim.workerID)
            }
            var machine = old.machine
            let effects = try event(&machine, old.record)
            guard machine != old.machine else { return Decision(stored: old, effects: effects) }
            let step = ExecutionStep(old, to: machine, effects, report: report, startedAt: startedAt, at: now)
            return Decision(stored: step.new, effects: effects, written: try WrittenStep(step, by: actor))
        }
        var known = known
        let committed = try await withMovingRows {
            // Decided before the transaction, which only writes it: there one thread does the work of all.
            let ready = try known.take().map { seen in
                // A refusal has to be the row's own.
                guard let ready = try? decide(seen), ready.written != nil else { throw MovedRow("execution \(id)") }
                return ready
            }
            return try await feed.transaction(organization: organization) { transaction in
                let old = ready == nil ? try Self.stored(id, organization, times, in: transaction) : nil
                try fence?.check(in: transaction, database.dialect)
                guard let decision = try ready ?? old.map(decide) else { throw Self.unknown(id) }
                try decision.written?.write(in: transaction)
                return Change(stored: decision.stored, effects: decision.effects, seq: nil)
            }
        }
        var change = committed.value
        change.seq = committed.seq
        if let claim = change.stored.machine.claim { live.saw(change.stored, AttemptKey(id, claim.attempt)) }
        await perform(change.effects, change.stored)
        return change
    }

    private static func stored(
        _ id: ExecutionID,
        _ organization: OrganizationID,
        _ times: ExecutionTimes,
        in connection: any SQLConnection
    ) throws -> StoredExecution {
        guard let row = try connection.first(ExecutionStore.byID, id, organization) else { throw unknown(id) }
        return try ExecutionStore.stored(row, times: times)
    }

    func perform(_ effects: [ExecutionMachine.Effect], _ stored: StoredExecution) async {
        let id = stored.record.id
        // First, so that whoever waits for it reads before the dispatcher does.
        bells.ring(id, .changed)
        if !stored.record.state.isTerminal { deadlines.note(stored.record.deadlineAt ?? time.now + .seconds(60)) }
        for effect in effects {
            switch effect {
            case .dispatch: dispatchBell.ring()
            case .sendCancel(let claim):
                inFlight.noteCancel(AttemptKey(id, claim.attempt))
                await workers.cancel(AttemptKey(id, claim.attempt), at: claim.workerID)
            case .sendForget(let claim): await workers.forget(AttemptKey(id, claim.attempt), at: claim.workerID)
            case .releaseSlot(let claim):
                let key = AttemptKey(id, claim.attempt)
                inFlight.noteEnd(key)
                live.remove(key)
                if workers.release(claim.workerID, key), queue.mayHaveWaiting { dispatchBell.ring() }
            case .recordAttempt(let claim, let reason):
                guard let reason else { continue }
                tally.retried()
                log.info(
                    "execution tried again later",
                    ["execution_id": id, "attempt": claim.attempt, "code": reason.code, "reason": reason.message]
                )
            case .recordEnd(let end):
                log.info("execution ended", ["execution_id": id, "outcome": end.outcome.rawValue])
                guard stored.machine.isDeadLetter else { continue }
                tally.deadLettered()
                log.warning("execution is a dead letter", ["execution_id": id, "failures": stored.record.failures])
            }
        }
        await tellWorkspace(stored.record)
    }

    func tellWorkspace(_ record: ExecutionRecord) async {
        guard let workspace = record.workspaceID else { return }
        await workspaces.executionChanged(
            record.id,
            workspace: workspace,
            organization: record.organizationID,
            isSetup: record.spec.workspace?.setup != nil,
            state: record.state,
            outcome: record.report?.workspace,
            failure: record.failure
        )
    }

    static func unknown(_ id: ExecutionID) -> BerthError {
        BerthError(.notFound, "there is no execution \(id)", remedy: "list them with 'berth ls'")
    }
}

// Reading.
extension ExecutionService {
    /// - Parameter user: nil to see those of every member.
    public func get(_ id: ExecutionID, organization: OrganizationID, visibleTo user: UserID?) async throws
        -> ExecutionRecord
    {
        try await snapshot(id, organization: organization, visibleTo: user).record
    }

    /// As ``get(_:organization:visibleTo:)``, for those who hold it for long or hand it on.
    public func snapshot(_ id: ExecutionID, organization: OrganizationID, visibleTo user: UserID?) async throws
        -> ExecutionSnapshot
    {
        let found = try await database.read { [self] connection in
            try find(id, organization: organization, visibleTo: user, in: connection).map { ExecutionSnapshot($0) }
        }
        guard let found else { throw Self.unknown(id) }
        return found
    }

    /// Newest first. `after` is the last page's `next`.
    public func list(
        _ filter: ExecutionFilter,
        organization: OrganizationID,
        visibleTo user: UserID?,
        after: ExecutionID? = nil,
        limit: Int = 50
    ) async throws -> ExecutionPage {
        let stored = try await database.read { [self] connection in
            try rows(filter, organization, user, after, limit: limit + 1, in: connection)
        }
        let page = try stored.prefix(limit).map(titled)
        return ExecutionPage(executions: page, next: stored.count > limit ? page.last?.id : nil)
    }

    private func rows(
        _ filter: ExecutionFilter,
        _ organization: OrganizationID,
        _ user: UserID?,
        _ after: ExecutionID?,
        limit: Int,
        in connection: any SQLConnection
    ) throws -> [StoredExecution] {
        let values: [SQLValue] =
            [
                organization.sqlValue, user.sqlValue, filter.environmentID.sqlValue, filter.workspaceID.sqlValue,
                filter.personaID.sqlValue, after.sqlValue, .integer(Int64(limit)),
            ] + filter.states.map { .text($0.rawValue) }
        return try connection.rows(ExecutionStore.list(filter), values: values).map {
            try ExecutionStore.stored($0, times: times)
        }
    }

    /// Newest first, within a read of the caller's.
    public func list(
        _ filter: ExecutionFilter,
        organization: OrganizationID,
        visibleTo user: UserID?,
        after: ExecutionID?,
        limit: Int,
        in connection: any SQLConnection
    ) throws -> [ExecutionRecord] {
        try rows(filter, organization, user, after, limit: limit, in: connection).map(titled)
    }

    /// nil where there is none that `user` may see.
    public func find(
        _ id: ExecutionID,
        organization: OrganizationID,
        visibleTo user: UserID?,
        in connection: any SQLConnection
    ) throws -> ExecutionRecord? {
        guard let row = try connection.first(ExecutionStore.byID, id, organization) else { return nil }
        let stored = try ExecutionStore.stored(row, times: times)
        return user == nil || stored.record.ownerID == user ? try titled(stored) : nil
    }

    /// The whole prompt.
    public func prompt(_ id: ExecutionID, organization: OrganizationID, visibleTo user: UserID?) async throws -> String
    {
        _ = try await get(id, organization: organization, visibleTo: user)
        let sealed = try await database.read { connection in
            try connection.first(ExecutionStore.input, id, organization)?.blob("prompt_sealed")
        }
        guard let sealed else { throw Self.unknown(id) }
        return String(decoding: try sealing.open(sealed, "prompt", id, organization), as: UTF8.self)
    }

    /// What happened to it after `seq`, oldest first.
    public func history(_ id: ExecutionID, organization: OrganizationID, after seq: Int64 = 0, limit: Int = 1000)
        async throws -> [ExecutionEvent]
    {
        try await database.read { connection in
            try connection.rows(ExecutionStore.events, organization, id, seq, limit).map { row in
                ExecutionEvent(
                    seq: try row.integer("seq"),
                    type: try row.text("type"),
                    payload: try row.text("payload"),
                    at: try row.timestamp("recorded_at")
                )
            }
        }
    }

    /// Tells what happens to the execution as long as it is held.
    public func bell(for id: ExecutionID) -> ExecutionBell { bells.bell(for: id) }

    /// Attempts that workers hold in an environment.
    public func openCount(in environment: EnvironmentID, organization: OrganizationID) async throws -> Int {
        try await database.read { try $0.first(ExecutionStore.openIn, environment, organization)?.int("count") ?? 0 }
    }

    func titled(_ stored: StoredExecution) throws -> ExecutionRecord {
        var record = stored.record
        guard let sealed = stored.titleSealed else { return record }
        let title = try sealing.open(sealed, "title", record.id, record.organizationID)
        record.title = String(decoding: title, as: UTF8.self)
        return record
    }
}

// Ending.
extension ExecutionService {
    /// An environment came up, or went into error: what waits for it is looked at again.
    public func environmentChanged(_ environment: EnvironmentID, organization: OrganizationID) async {
        dispatchBell.ring()
    }

    /// Wins unless it has ended already (`illegal_transition`). A run that a worker holds is `cancelled` when the worker
    /// has ended it, or 15 s later.
    public func cancel(_ id: ExecutionID, organization: OrganizationID, by user: UserID, visibleTo: UserID?)
        async throws -> ExecutionRecord
    {
        _ = try await get(id, organization: organization, visibleTo: visibleTo)
        let now = time.now
        let change = try await change(id, organization, actor: user) { machine, _ in
            try machine.cancel(by: user.text, at: now)
        }
        return try titled(change.stored)
    }

    /// An incarnation of an environment has ended, and with it what ran there.
    public func environmentEnded(
        _ environment: EnvironmentID,
        organization: OrganizationID,
        instance: Int64,
        _ reason: FailureReason
    ) async throws {
        let times = times
        let held = try await database.read { connection in
            try connection.rows(ExecutionStore.heldByInstance, environment, organization, instance).map {
                try ExecutionStore.stored($0, times: times)
            }
        }
        let now = time.now
        for stored in held {
            guard let claim = stored.machine.claim else { continue }
            do {
                try await change(stored.record.id, organization, worker: claim.workerID) { machine, _ in
                    try machine.lose(attempt: claim.attempt, reason, at: now)
                }
            } catch let error as BerthError where [.stale, .illegalTransition].contains(error.code) {
                // It ended, or moved on, by itself in the meantime.
                log.debug("lost attempt had moved on", ["execution_id": stored.record.id])
            }
        }
    }
}
