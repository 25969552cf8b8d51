import Base
import Domain
import WorkerProtocol

/// A worker: its decisions are the shipped `AttemptMachine` and `OutputCursor`; its disk, its holder and its link are
/// simulated. What its death leaves is `rows`, `spools`, `heardOnDisk` and the holder.
final class SimWorker {
    /// What a row of its database tells of an attempt.
    struct Row {
        let key: AttemptKey
        var order: Plan.Order
        let holderLife: Int
        var deadline: Int64?
        var stopCause: StopCause?
        var report: ExecutionReport?
    }

    enum Step {
        case connect
        case greetingLate(Int)
        case ping
        case heartbeat
        case fence
        case runs(AttemptKey, RunStep)
    }

    unowned let world: World
    let index: Int
    let slots: Int
    let holder: SimHolder
    var dice: Dice

    // On disk.
    var rows: [Row] = []
    var spools: [AttemptKey: [SimSpool]] = [:]
    private var heardOnDisk = Plan.start

    // In memory.
    private(set) var life = 0
    private(set) var isUp = false
    /// It never comes back.
    var isGone = false
    var runs: [Run] = []
    var unneeded: [AttemptKey] = []
    var feeds: [SimFeed] = []
    private(set) var connection: Connection?
    /// When the server acknowledged the hello of this connection.
    private(set) var greetedAt: Int64?
    private var isGreeted: Bool { greetedAt != nil }
    private var pingSentAt: Int64?
    private var lastReceived: Int64 = 0
    private var lastConfirmed: Int64 = 0
    private var helloAt: Int64 = 0
    private var backoff = Backoff.workerReconnect
    var nextChannel: UInt32 = 1

    init(_ world: World, index: Int, slots: Int) {
        self.world = world
        self.index = index
        self.slots = slots
        holder = SimHolder(world, worker: index)
        dice = Dice(world.plan.seed, 4, index)
    }

    func add(_ step: Step, after delay: Int64) { world.add(.worker(index, life: life, step), after: delay) }

    func start() throws {
        isUp = true
        world.trace("worker \(index) starts")
        // `heardOnDisk` of the shipped worker is a file; its first content is the moment of the first start.
        add(.fence, after: max(0, heardOnDisk + Self.fenceAfter - world.now))
        try takeUpRuns()
        add(.connect, after: Int64(dice.within(0...50)))
    }

    func crash() {
        guard isUp else { return }
        world.trace("worker \(index) dies")
        life += 1
        isUp = false
        runs = []
        feeds = []
        unneeded = []
        pingSentAt = nil
        backoff.reset()
        leave(closesPath: true)
    }

    func step(_ step: Step) throws {
        switch step {
        case .connect: connect()
        case .greetingLate(let number): if connection?.number == number, !isGreeted { linkLost("no ack") }
        case .ping: ping()
        case .heartbeat: heartbeat()
        case .fence: try fence()
        case .runs(let key, let step): try self.step(key, step)
        }
    }

    // MARK: - Silence

    private static let fenceAfter = ProtocolLimits.selfFenceAfter.wholeMilliseconds

    private func heard(at moment: Int64) { heardOnDisk = max(heardOnDisk, moment) }

    private func fence() throws {
        if greetedAt != nil { heard(at: lastConfirmed) }
        let limit = heardOnDisk + Self.fenceAfter
        if world.now < limit { return add(.fence, after: limit - world.now) }
        if world.mistakes.contains(.neverFencesItself) { return }
        if let greetedAt, greetedAt + 1000 < world.now, runs.contains(where: { !$0.machine.hasEnded }),
            world.hasBeenReachable(index, forMs: 20_000)
        {
            throw Breach(
                rule: "a worker that has its server does not fence itself",
                words: "worker \(index), connected since \(greetedAt - Plan.start)"
            )
        }
        if runs.contains(where: { !$0.machine.hasEnded }) { world.trace("worker \(index) fences itself") }
        for run in runs { try stop(run, .fenced) }
        add(.fence, after: 5000)
    }

    // MARK: - Link

    private func connect() {
        guard connection == nil else { return }
        guard world.isServerUp, world.path(index).isFree else { return again() }
        let connection = world.connect(worker: index, life: life)
        self.connection = connection
        greetedAt = nil
        feeds = []
        nextChannel = 1
        lastReceived = world.now
        lastConfirmed = 0
        helloAt = world.now
        pingSentAt = nil
        let positions = runs.sorted { ($0.key.executionID, $0.key.attempt) < ($1.key.executionID, $1.key.attempt) }
            .map { run in
                let spools = spools[run.key]
                return WorkerMessage.AttemptPosition(
                    executionId: run.key.executionID,
                    attempt: run.key.attempt,
                    stdout: spools?[0].length ?? 0,
                    stderr: spools?[1].length ?? 0,
                    hasEnded: run.machine.hasEnded
                )
            }
        let hello = WorkerMessage.Hello(
            workerId: "worker-\(index)",
            version: "simulated",
            capabilities: ["command"],
            protocol: ProtocolLimits.version,
            attempts: positions
        )
        world.trace("worker \(index) says hello on connection \(connection.number), naming \(positions.count)")
        send(.hello(hello))
        add(.greetingLate(connection.number), after: ProtocolLimits.helloDeadline.wholeMilliseconds)
        add(.ping, after: 10_000)
    }

    private func again() {
        let jitter = FixedRandomness(dice.next())
        add(.connect, after: backoff.next(jitter).wholeMilliseconds)
    }

    private func ping() {
        guard let connection else { return }
        if let sent = pingSentAt {
            if lastReceived < sent, world.now - sent >= 15_000 { return linkLost("no pong") }
            if lastReceived < sent { return add(.ping, after: sent + 15_000 - world.now) }
        }
        pingSentAt = world.now
        connection.sendUp(.ping(sentAt: world.now), world)
        add(.ping, after: 10_000)
    }

    private func heartbeat() {
        guard isGreeted else { return }
        heard(at: lastConfirmed)
        send(.heartbeat(.init(timestamp: world.wall.milliseconds)))
        add(.heartbeat, after: ProtocolLimits.heartbeat.wholeMilliseconds)
    }

    /// The connection is of no use any more; another one is made.
    func linkLost(_ why: String) {
        guard connection != nil else { return }
        world.trace("worker \(index) loses its link: \(why)")
        leave(closesPath: true)
        again()
    }

    private func leave(closesPath: Bool) {
        guard let connection else { return }
        if isUp { heard(at: lastConfirmed) }
        if closesPath { world.workerLeft(connection) }
        self.connection = nil
        greetedAt = nil
        feeds = []
    }

    func send(_ message: WorkerMessage) { connection?.sendUp(.message(message), world) }
    func send(_ frame: ChannelFrame) { connection?.sendUp(.frame(frame), world) }

    func receive(_ item: Downward, on connection: Connection) throws {
        guard isUp, self.connection === connection else { return }
        lastReceived = world.now
        switch item {
        case .pong(let sentAt): lastConfirmed = max(lastConfirmed, sentAt)
        case .close(let code): linkLost("closed with \(code)")
        case .frame(let frame): try receive(frame)
        case .message(let message): try receive(message)
        }
    }

    private func receive(_ message: ServerMessage) throws {
        switch message {
        case .ack(let ack):
            greetedAt = world.now
            heard(at: helloAt)
            backoff.reset()
            add(.heartbeat, after: ProtocolLimits.heartbeat.wholeMilliseconds)
            for point in ack.resume ?? [] { try answer(point) }
            send(.ready(.init(slots: slots)))
            try feedAll()
        case .assign(let assign): try accept(assign)
        case .cancel(let cancel):
            guard let id = try? ExecutionID(cancel.executionId), let run = run(AttemptKey(id, cancel.attempt ?? 1))
            else { return }
            try stop(run, .cancelled)
        case .forget(let forget): try self.forget(AttemptKey(forget.executionId, forget.attempt))
        case .shutdown, .connect, .look, .claim, .network, .undialled: break
        }
    }

    private func answer(_ point: ServerMessage.ResumePoint) throws {
        let key = AttemptKey(point.executionId, point.attempt)
        guard let run = run(key) else { return }
        switch point.action {
        case .resume: feeds.append(SimFeed(key, stdout: point.stdout, stderr: point.stderr))
        case .forget: try forget(key)
        case .kill: try abandon(run)
        }
    }
}

/// One number, for who takes a source of them.
struct FixedRandomness: Randomness {
    let number: UInt64
    init(_ number: UInt64) { self.number = number }
    func next() -> UInt64 { number }
}
