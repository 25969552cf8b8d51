import Base
import Domain
import WorkerProtocol
import Workers

/// A server made of the shipped machines alone: `ExecutionMachine` in the rows, `WorkerSession` with its `ChannelLedger`s at
/// the links. What stands between them follows the shipped services step by step. `rows`, `files` and `connections` are
/// durable; the rest dies with the process.
final class MachineServer: SimServer {
    struct Row {
        let order: Plan.Order
        let id: ExecutionID
        var machine: ExecutionMachine
        var report: ExecutionReport?
    }

    /// A connection's end at the server.
    final class Link {
        var session: WorkerSession
        var worker: WorkerID?
        var number = 0
        var begun: [(key: AttemptKey, at: Timestamp)] = []

        init(_ session: WorkerSession) { self.session = session }
    }

    /// What the registry knows of a worker.
    struct Entry {
        var connection: Connection?
        var number: Int
        var slots = 0
        var isReady = false
        var held: [ExecutionID: Int] = [:]
        var lostAt: Uptime?
    }

    unowned let world: World
    static let ids = IDSource(time: SystemTime(), randomness: SeededRandomness(seed: 1))
    /// Sorted, so that older orders have smaller ids.
    static let executionIDs: [ExecutionID] = (0..<16).map { _ in ids.make() }.sorted()
    static let workerIDs: [WorkerID] = (0..<Plan.workers).map { _ in ids.make() }.sorted()

    // Durable.
    var rows: [Row?] = []
    var files: [AttemptKey: [[UInt8]]] = [:]
    var connectionNumbers = [Int](repeating: 0, count: Plan.workers)
    /// What a crash leaves when the commit is only promised.
    private var syncedRows: [Row?] = []

    // Memory.
    var links: [Int: Link] = [:]
    var entries: [WorkerID: Entry] = [:]
    var live: [AttemptKey: WorkerID] = [:]
    private(set) var isUp = false
    private(set) var life = 0
    private var pointsLeft: Int?
    private var failsUntil: Int64 = 0
    var tornWrite: Int?
    /// When the one timer of each loop is due; an event of another moment is an old one.
    var dispatchAt: Int64?
    var deadlinesAt: Int64?

    init(_ world: World) {
        self.world = world
        rows = [Row?](repeating: nil, count: 16)
        syncedRows = rows
    }

    func index(_ id: ExecutionID) -> Int? { Self.executionIDs.firstIndex(of: id) }
    func workerIndex(_ id: WorkerID) -> Int { Self.workerIDs.firstIndex(of: id) ?? 0 }

    // MARK: - Life and death

    func start() throws {
        isUp = true
        try recover()
        noteDeadline(world.wall)
        ring()
    }

    func crash() {
        isUp = false
        life += 1
        links = [:]
        entries = [:]
        live = [:]
        pointsLeft = nil
        tornWrite = nil
        dispatchAt = nil
        deadlinesAt = nil
        if world.mistakes.contains(.forgetToSync) { rows = syncedRows }
        if world.mistakes.contains(.acknowledgeBeforeStoring) { files = syncedFiles }
    }

    func dieAfter(points: Int) { pointsLeft = points }
    func storageFails(until: Int64) { failsUntil = until }
    func tearNextWrite(keeping: Int) { tornWrite = keeping }
    func settle() {}

    /// Between two effects: the process may end here.
    func point() throws {
        guard let left = pointsLeft else { return }
        pointsLeft = left - 1
        guard left > 0 else { throw ServerDied() }
    }

    func requireStorage() throws {
        if failsUntil > world.now { throw BerthError(.unavailable, "the simulated database is busy") }
    }

    func sync() {
        syncedRows = rows
        syncedFiles = files
    }
    private var syncedFiles: [AttemptKey: [[UInt8]]] = [:]

    func step(_ step: ServerStep) throws {
        switch step {
        case .dispatch:
            guard let at = dispatchAt, at <= world.now else { return }
            dispatchAt = nil
            try dispatch()
        case .deadlines: try keepDeadlines()
        case .giveUpLost: try giveUpLost()
        case .expire(let connection):
            guard let link = links[connection.number] else { return }
            link.session.heard(at: Self.uptime(connection.heardAt))
            guard let deadline = link.session.deadline else { return }
            if world.uptime < deadline { return add(.expire(connection), at: deadline) }
            try perform(link.session.expire(now: world.uptime), connection)
        case .recordStarts(let connection): try recordStarts(connection)
        case .sync: sync()
        case .wake: break
        }
    }

    static func uptime(_ milliseconds: Int64) -> Uptime { Uptime(nanoseconds: UInt64(milliseconds) * 1_000_000) }
    func add(_ step: ServerStep, at: Uptime) {
        world.add(.server(life: life, step), at: Int64(at.nanoseconds / 1_000_000))
    }
    func add(_ step: ServerStep, after delay: Int64) { world.add(.server(life: life, step), after: delay) }

    // MARK: - Transactions

    struct Change {
        var row: Row
        var effects: [ExecutionMachine.Effect]
    }

    /// As `ExecutionService.change`: read, decide, write; then, outside, the effects.
    func change(
        _ id: ExecutionID,
        worker: WorkerID? = nil,
        report: ExecutionReport? = nil,
        _ event: (inout ExecutionMachine) throws -> [ExecutionMachine.Effect]
    ) throws {
        guard let index = index(id), var row = rows[index] else {
            throw BerthError(.notFound, "there is no such execution")
        }
        try requireStorage()
        if let worker, let claim = row.machine.claim, claim.workerID != worker, !world.mistakes.contains(.dropTheFence)
        {
            throw BerthError.stale("worker", held: worker, current: claim.workerID)
        }
        let before = row.machine
        let effects = try event(&row.machine)
        if row.machine != before {
            try point()
            if case .ended(let end) = row.machine.status, let report, end.attempt != nil { row.report = report }
            rows[index] = row
            if world.mistakes.contains(.forgetToSync) { add(.sync, after: 300) } else { syncedRows = rows }
            world.trace("server: order \(index) is \(row.machine.state), attempt \(row.machine.claim?.attempt ?? 0)")
            try world.oracle.stored(index, row.machine, report: row.report, at: world.now)
            try requireReachedCancel(index, before, row)
            try point()
        }
        try perform(effects, row)
    }

    /// A run that is cancelled without its worker's word: the worker was away, or is slow.
    private func requireReachedCancel(_ index: Int, _ before: ExecutionMachine, _ row: Row) throws {
        guard case .ended(let end) = row.machine.status, end.outcome == .cancelled, row.report == nil,
            let claim = before.claim, let cancel = before.cancelRequest,
            world.hasBeenReachable(workerIndex(claim.workerID), forMs: 9000), world.isClockSteady
        else { return }
        throw Breach(
            rule: "a cancel reaches a worker that is there",
            words: "order \(index), asked at \(cancel.at.milliseconds - 1_700_000_000_000 - Plan.start)"
        )
    }

    func perform(_ effects: [ExecutionMachine.Effect], _ row: Row) throws {
        noteDeadline(row.machine.deadlineAt)
        for effect in effects {
            try point()
            switch effect {
            case .dispatch: ring()
            case .sendCancel(let claim): try send(cancel(AttemptKey(row.id, claim.attempt)), to: claim.workerID)
            case .sendForget(let claim): try forget(AttemptKey(row.id, claim.attempt), at: claim.workerID)
            case .releaseSlot(let claim):
                let key = AttemptKey(row.id, claim.attempt)
                live[key] = nil
                if !world.mistakes.contains(.slotLeaked) { release(claim.workerID, key) }
                ring()
            case .recordEnd, .recordAttempt: break
            }
        }
    }

    func cancel(_ key: AttemptKey) -> ServerMessage {
        .cancel(.init(executionId: key.executionID.text, attempt: key.attempt))
    }

    /// A change that may come too late, which is no error here.
    func settle(_ body: () throws -> Void) throws {
        do { try body() } catch let error as BerthError
            where [.stale, .illegalTransition, .notFound, .unavailable].contains(error.code)
        {
            world.trace("server: too late: \(error.message)")
        }
    }

    // MARK: - Looking

    func stateNumber(_ order: Int) -> Int? {
        guard let machine = rows[order]?.machine else { return nil }
        switch machine.status {
        case .queued: return 0
        case .assigned(_, let cancel, _): return cancel == nil ? 1 : 2
        case .running(_, _, let cancel, _): return cancel == nil ? 3 : 4
        case .ended: return 5
        }
    }

    func orderName(of id: ExecutionID) -> String { index(id).map { "order \($0)" } ?? "an unknown order" }
    func words(_ order: Int) -> String { rows[order].map { "\($0.machine.status)" } ?? "not created" }
    var isIdle: Bool { true }

    func checkRest() throws {
        for worker in Self.workerIDs {
            guard let entry = entries[worker] else { continue }
            if !entry.held.isEmpty {
                throw Breach(rule: "slots come back", words: "worker \(workerIndex(worker)) holds \(entry.held.count)")
            }
        }
        if !live.isEmpty { throw Breach(rule: "slots come back", words: "\(live.count) attempts may still write") }
    }
}
