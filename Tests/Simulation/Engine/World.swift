import Base
import Domain
import WorkerProtocol

enum Event {
    case create(Int)
    case cancel(Int)
    case fault(Plan.Fault)
    case serverStarts
    case workerStarts(Int)
    case deliverUp(Connection)
    case deliverDown(Connection)
    case workerNotices(Connection)
    case serverNotices(Connection)
    case serverHasClosed(Connection)
    case worker(Int, life: Int, SimWorker.Step)
    case child(worker: Int, holderLife: Int, AttemptKey, SimHolder.Step)
    case server(life: Int, ServerStep)
}

/// Everything a schedule needs: clocks, workers with their links, a server, and who watches. One thread, one order.
final class World {
    /// What the path between a worker and the server does.
    struct Path {
        var upBlockedUntil: Int64 = 0
        var downBlockedUntil: Int64 = 0
        var slowUntil: Int64 = 0
        /// Until when a message may be late, for whatever reason.
        var disturbedUntil: Int64 = 0
        var now: Int64 = 0
        var isFree: Bool { now >= upBlockedUntil && now >= downBlockedUntil }
    }

    /// Credit of an output channel, small, so that little output meets all of its rules.
    static let window: Int64 = 64
    static let fewestEvents = 200

    let plan: Plan
    let mistakes: Set<Mistake>
    let oracle: Oracle
    private(set) var workers: [SimWorker] = []
    private let makeServer: (World) -> any SimServer
    private(set) lazy var server: any SimServer = makeServer(self)
    private(set) var now = Plan.start
    /// What a jump of the server's clock added.
    private(set) var wallOffset: Int64 = 0
    private(set) var events = 0
    private var agenda = Agenda<Event>()
    private var paths: [Path]
    private var dice: Dice
    private var connections: [Connection] = []
    private var connectionCount = 0
    private(set) var frozenUntil: Int64 = 0
    private var serverDownMs = 0
    private(set) var isFaulty = true
    var coverage = Coverage()
    let digest: ([UInt8]) -> String
    private let tracer: ((String) -> Void)?

    init(
        _ plan: Plan,
        mistakes: Set<Mistake> = [],
        digest: @escaping ([UInt8]) -> String = { _ in "" },
        tracer: ((String) -> Void)? = nil,
        server: @escaping (World) -> any SimServer
    ) {
        makeServer = server
        self.plan = plan
        self.mistakes = mistakes
        self.digest = digest
        self.tracer = tracer
        oracle = Oracle(plan)
        paths = [Path](repeating: Path(), count: Plan.workers)
        dice = Dice(plan.seed, 5)
        workers = (0..<Plan.workers).map { SimWorker(self, index: $0, slots: plan.slots[$0]) }
    }

    // MARK: - What parts see

    var uptime: Uptime { Uptime(nanoseconds: UInt64(now) * 1_000_000) }
    var wall: Timestamp { Timestamp(milliseconds: 1_700_000_000_000 + now + wallOffset) }
    var isServerUp: Bool { server.isUp && now >= frozenUntil }

    var isClockSteady: Bool { wallOffset == 0 }

    func path(_ worker: Int) -> Path {
        var path = paths[worker]
        path.now = now
        return path
    }

    func latency(_ worker: Int) -> Int64 {
        let slow = paths[worker].slowUntil > now
        return Int64(dice.within(slow ? 0...12_000 : 0...20))
    }

    func order(_ index: Int) -> Plan.Order { plan.orders.first { $0.index == index } ?? plan.orders[0] }

    func add(_ event: Event, at: Int64) { agenda.add(event, at: max(at, now)) }
    func add(_ event: Event, after delay: Int64) { agenda.add(event, at: now + max(0, delay)) }

    func trace(_ words: @autoclosure () -> String) { tracer?("\(now - Plan.start) ms: \(words())") }
    func name(_ key: AttemptKey) -> String { "\(server.orderName(of: key.executionID)):\(key.attempt)" }

    // MARK: - Links

    func connect(worker: Int, life: Int) -> Connection {
        connectionCount += 1
        let connection = Connection(number: connectionCount, worker: worker, workerLife: life, serverLife: server.life)
        connections.append(connection)
        server.accept(connection)
        return connection
    }

    func workerLeft(_ connection: Connection) {
        connection.workerHasLeft = true
        connection.closeUp()
        add(.serverNotices(connection), after: latency(connection.worker))
    }

    /// The server closes a connection in order.
    func serverCloses(_ connection: Connection, code: UInt16) {
        guard !connection.serverHasLeft else { return }
        connection.sendDown(.close(code: code), self)
        connection.closeDown()
        add(.serverHasClosed(connection), after: 1)
    }

    // MARK: - Running

    /// Runs the schedule to its end, and then until nothing is open.
    func run() throws {
        for order in plan.orders {
            add(.create(order.index), at: order.at)
            if let at = order.cancelAt { add(.cancel(order.index), at: at) }
        }
        for fault in plan.faults { add(.fault(fault), at: fault.at) }
        try guarded { try server.start() }
        for worker in workers { try worker.start() }
        let calmAt = (plan.faults.map { $0.at + Int64($0.durationMs) } + plan.orders.map(\.at)).max() ?? now
        // Deadlines and waits before a retry are moments of the wall clock: set back, it delays them by as much.
        let setBack = plan.faults.filter { $0.kind == .clockBack }.reduce(0) { $0 + Int64($1.durationMs) }
        let limit = calmAt + setBack + 1_500_000
        while let at = agenda.nextAt, at <= limit {
            if now > calmAt, events >= Self.fewestEvents, isAtRest { break }
            try step()
        }
        try checkRest(limit)
    }

    func step() throws {
        guard let (at, event) = agenda.takeNext() else { return }
        now = at
        events += 1
        try guarded { try perform(event) }
        try guarded { try server.settle() }
    }

    private func guarded(_ body: () throws -> Void) throws {
        do { try body() } catch is ServerDied { serverDies(downMs: serverDownMs) }
    }

    private func perform(_ event: Event) throws {
        switch event {
        case .create(let index):
            if isServerUp { try server.create(order(index)) } else { add(event, after: 500) }
        case .cancel(let index):
            oracle.cancelAsked(index)
            if isServerUp { try server.cancel(order(index)) } else { add(event, after: 500) }
        case .fault(let fault): try inject(fault)
        case .serverStarts:
            guard !server.isUp else { return }
            trace("server starts")
            try server.start()
        case .workerStarts(let index):
            if !workers[index].isUp, !workers[index].isGone { try workers[index].start() }
        case .deliverUp(let connection): try deliverUp(connection)
        case .deliverDown(let connection): try deliverDown(connection)
        case .workerNotices(let connection):
            let worker = workers[connection.worker]
            if worker.connection === connection { worker.linkLost("reset") }
        case .serverNotices(let connection):
            if let at = held(event, up: connection) { return add(event, at: at) }
            try serverLeaves(connection)
        case .serverHasClosed(let connection): try serverLeaves(connection)
        case .worker(let index, let life, let step):
            if workers[index].isUp, workers[index].life == life { try workers[index].step(step) }
        case .child(let worker, let life, let key, let step):
            let holder = workers[worker].holder
            if holder.life == life { try holder.step(key, step) }
        case .server(let life, let step):
            guard server.isUp, server.life == life else { return }
            if now < frozenUntil { return add(event, at: frozenUntil) }
            try server.step(step)
        }
    }

    private func serverLeaves(_ connection: Connection) throws {
        guard !connection.serverHasLeft, connection.serverLife == server.life, server.isUp else { return }
        connection.serverHasLeft = true
        connection.closeDown()
        try server.gone(connection)
    }

    /// When something to the server can go on; nil: now.
    private func held(_ event: Event, up connection: Connection) -> Int64? {
        let path = paths[connection.worker]
        if path.upBlockedUntil > now { return path.upBlockedUntil }
        return frozenUntil > now ? frozenUntil : nil
    }

    private func deliverUp(_ connection: Connection) throws {
        if let at = held(.deliverUp(connection), up: connection) { return add(.deliverUp(connection), at: at) }
        guard let item = connection.takeUp(), server.isUp, connection.serverLife == server.life,
            !connection.serverHasLeft
        else { return }
        connection.heardAt = now
        if case .ping(let sentAt) = item { return connection.sendDown(.pong(pingSentAt: sentAt), self) }
        try server.receive(item, on: connection)
    }

    private func deliverDown(_ connection: Connection) throws {
        let path = paths[connection.worker]
        if path.downBlockedUntil > now { return add(.deliverDown(connection), at: path.downBlockedUntil) }
        guard let item = connection.takeDown(), workers[connection.worker].life == connection.workerLife else { return }
        try workers[connection.worker].receive(item, on: connection)
    }

    // MARK: - Faults

    private func inject(_ fault: Plan.Fault) throws {
        trace("fault \(fault.index): \(fault.kind.rawValue), target \(fault.target), \(fault.durationMs) ms")
        countCoverage(fault.kind)
        let worker = workers[fault.target]
        let until = now + Int64(fault.durationMs)
        switch fault.kind {
        case .serverCrash: if server.isUp { serverDies(downMs: fault.durationMs) }
        case .serverCrashAmidEffects:
            serverDownMs = fault.durationMs
            server.dieAfter(points: fault.detail)
        case .workerCrash:
            worker.crash()
            add(.workerStarts(fault.target), at: until)
        case .holderDeath:
            try worker.holder.die()
            worker.crash()
            add(.workerStarts(fault.target), at: until)
        case .cut, .halfOpen:
            guard let connection = worker.connection else { return }
            connection.cut(&dice)
            add(.workerNotices(connection), after: Int64(dice.within(0...3000)))
            if fault.kind == .cut { add(.serverNotices(connection), after: Int64(dice.within(0...3000))) }
        case .partition:
            paths[fault.target].upBlockedUntil = max(paths[fault.target].upBlockedUntil, until)
            paths[fault.target].downBlockedUntil = max(paths[fault.target].downBlockedUntil, until)
        case .oneWayPartition:
            if fault.detail % 2 == 0 {
                paths[fault.target].upBlockedUntil = max(paths[fault.target].upBlockedUntil, until)
            } else {
                paths[fault.target].downBlockedUntil = max(paths[fault.target].downBlockedUntil, until)
            }
        case .slowLink:
            paths[fault.target].slowUntil = max(paths[fault.target].slowUntil, until)
            disturb(fault.target, until: until + 12_000)
        case .clockForward: wallOffset += Int64(fault.durationMs)
        case .clockBack: wallOffset -= Int64(fault.durationMs)
        case .partialWrite: server.tearNextWrite(keeping: fault.detail)
        case .storageFails:
            server.storageFails(until: until)
            for index in workers.indices { disturb(index, until: until) }
        case .workerGone:
            try worker.holder.die()
            worker.crash()
            worker.isGone = true
        case .serverFreeze:
            frozenUntil = max(frozenUntil, until)
            for index in workers.indices { disturb(index, until: until) }
        }
    }

    private func disturb(_ worker: Int, until: Int64) {
        paths[worker].disturbedUntil = max(paths[worker].disturbedUntil, until)
    }

    /// The worker was in good connection for so long.
    func hasBeenReachable(_ worker: Int, forMs duration: Int64) -> Bool {
        let path = paths[worker]
        let calmSince = max(path.disturbedUntil, path.upBlockedUntil, path.downBlockedUntil)
        guard let greetedAt = workers[worker].greetedAt else { return false }
        return max(greetedAt, calmSince) + duration < now
    }

    private func serverDies(downMs: Int) {
        trace("server dies")
        server.crash()
        for connection in connections where !connection.serverHasLeft {
            connection.serverHasLeft = true
            connection.closeDown()
            connection.closeUp()
            add(.workerNotices(connection), after: latency(connection.worker))
        }
        connections = []
        add(.serverStarts, after: Int64(downMs))
    }

    private func countCoverage(_ kind: Plan.FaultKind) {
        for order in plan.orders { if let state = server.stateNumber(order.index) { coverage.met(kind, state) } }
        for worker in workers { for run in worker.runs { coverage.met(kind, 6 + run.stage.rawValue) } }
    }

    // MARK: - Rest

    private var isAtRest: Bool {
        server.isUp && plan.orders.allSatisfy { oracle.end($0.index) != nil }
            && workers.allSatisfy { ($0.isUp || $0.isGone) && $0.runs.isEmpty && $0.holder.children.isEmpty }
            && !oracle.hasLivingProcess
            && server.isIdle
    }

    private func checkRest(_ limit: Int64) throws {
        for order in plan.orders where oracle.end(order.index) == nil {
            throw Breach(
                rule: "everything ends once the faults have stopped",
                words: "order \(order.index) is \(server.words(order.index)) at \(now - Plan.start)"
            )
        }
        for worker in workers {
            if let run = worker.runs.first {
                throw Breach(
                    rule: "a worker drops what the server has recorded",
                    words: "worker \(worker.index) keeps \(name(run.key)), \(run.stage)"
                )
            }
            if let child = worker.holder.children.first {
                throw Breach(rule: "no process is left behind", words: "worker \(worker.index): \(name(child.key))")
            }
        }
        try server.checkRest()
        for order in plan.orders {
            coverage.ends[oracle.end(order.index)?.outcome.rawValue ?? "none", default: 0] += 1
            coverage.attempts += oracle.attempts(order.index)
        }
        coverage.schedules += 1
        coverage.events += events
        coverage.fewestEvents = min(coverage.fewestEvents, events)
    }
}
