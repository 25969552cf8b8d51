import Base
import Crypto
import Database
import Domain
import Executions
import FoundationEssentials
import OutputStore
import WorkerProtocol
import Workers

/// The shipped services as a server wires them: executions, workers, feed and segment store over real SQL, with the shipped
/// codec at the links, on one thread and a simulated clock.
///
/// Unchecked: used on the simulation's one thread only.
final class ServicesServer: SimServer, @unchecked Sendable {
    unowned let world: World
    let store: ScheduleStore
    private let executor: SimExecutor
    private let root: String
    private let sealer: Sealer
    private(set) var isUp = false
    private(set) var life = 0

    // One life of the process.
    private var process: SimProcess?
    private var executions: ExecutionService?
    private var workers: WorkerService?
    private var task: Task<Void, Never>?
    private var jobs: AsyncStream<@Sendable () async -> Void>.Continuation?
    private var inboxes: [Int: SimInbox] = [:]

    /// Of a planted mistake.
    var syncedAt: Int64 = 0
    /// What was seen of the rows.
    var seen: [Int: SeenRow] = [:]
    var breach: (any Error)?

    init(_ world: World, _ store: ScheduleStore) {
        self.world = world
        self.store = store
        executor = SimExecutor(seed: world.plan.seed)
        root = "\(store.directory)/output"
        let randomness = SeededRandomness(seed: 5)
        // Made from 32 bytes of the seeded source; cannot fail.
        sealer = Sealer(KeyRing(current: Self.key), randomness: randomness)
    }

    // The same for all schedules; a key of the wrong length would be refused at the first start.
    private static let key: MasterKey = {
        do { return try MasterKey.make(SeededRandomness(seed: 4)) } catch { preconditionFailure("\(error)") }
    }()

    // MARK: - Life and death

    func start() throws {
        let process = SimProcess(world, life: life)
        let database = InlineDatabase(store: store, process: process) { [unowned self] in observe() }
        let feed = Feed(database)
        let registry = WorkerRegistry()
        let ids = IDSource(time: process, randomness: process)
        let log = Log(sink: TraceSink(world: world), time: process, level: .info)
        let output = SimOutput(root: root, process: process, mistakes: world.mistakes) { [unowned self] key, stream in
            lookAtOutput(key, stream)
        }
        let executions = ExecutionService(
            database: database,
            feed: feed,
            sealer: sealer,
            workers: PlantedPool(registry: registry, mistakes: world.mistakes),
            environments: NoEnvironments(),
            output: output,
            workspaces: NoEnvironments(),
            time: process,
            ids: ids,
            log: log
        )
        let workers = WorkerService(
            database: database,
            feed: feed,
            registry: registry,
            attempts: PlantedBridge(executions: executions, mistakes: world.mistakes),
            instances: NoEnvironments(),
            time: process,
            ids: ids,
            randomness: process,
            window: World.window,
            log: log
        )
        let (stream, jobs) = AsyncStream<@Sendable () async -> Void>.makeStream()
        task = Task(executorPreference: executor) {
            await withDiscardingTaskGroup { group in
                group.addTask { try? await executions.run() }
                group.addTask { try? await workers.run() }
                for await job in stream { group.addTask { await job() } }
            }
        }
        self.process = process
        self.executions = executions
        self.workers = workers
        self.jobs = jobs
        isUp = true
        if world.mistakes.contains(.forgetToSync), life == 0 { try store.promise() }
    }

    func crash() {
        isUp = false
        life += 1
        process?.die()
        task?.cancel()
        jobs?.finish()
        for number in inboxes.keys.sorted() { inboxes[number]?.finish() }
        executor.drain()
        (process, executions, workers, task, jobs, inboxes) = (nil, nil, nil, nil, nil, [:])
        guard world.mistakes.contains(.forgetToSync) else { return }
        do {
            try store.breakPromises()
            observe()
        } catch { breach = breach ?? error }
    }

    /// After a schedule: everything is let go of.
    func end() {
        crash()
        try? FileManager.default.removeItem(atPath: root)
    }

    func dieAfter(points: Int) { process?.pointsLeft = points }
    func storageFails(until: Int64) { process?.storageFailsUntil = until }
    func tearNextWrite(keeping: Int) { process?.tornWrite = keeping }

    func settle() throws {
        executor.drain()
        try keepPromises()
        if let breach { throw breach }
        if isUp, process?.isAlive == false { throw ServerDied() }
    }

    func step(_ step: ServerStep) throws { if case .wake(let id) = step { process?.wake(id) } }

    /// A planted mistake keeps what it has promised now and then.
    private func keepPromises() throws {
        guard world.mistakes.contains(.forgetToSync), world.now - syncedAt > 300 else { return }
        syncedAt = world.now
        try store.keepPromises()
    }

    // MARK: - Clients

    /// A client asks with an idempotency key, and again until it is answered.
    func create(_ order: Plan.Order) throws {
        guard seen[order.index]?.isAnswered != true else { return }
        var request = NewExecution(
            organizationID: store.organization,
            ownerID: store.user,
            environmentID: nil,
            spec: ExecutionSpec(
                agent: .command,
                caps: RunCaps(timeoutMs: order.timeoutMs, maxOutputBytes: order.headBytes),
                retry: world.mistakes.contains(.retryAfterStart) ? .idempotent : order.retry
            ),
            command: [String(order.index)],
            personaID: "order-\(order.index)"
        )
        request.idempotencyKey = "order-\(order.index)"
        world.add(.create(order.index), after: 2000)
        perform { [unowned self, request] executions in
            _ = try await executions.create(request)
            seen[order.index]?.isAnswered = true
        }
    }

    func cancel(_ order: Plan.Order) throws {
        guard let id = seen[order.index]?.id else { return world.add(.cancel(order.index), after: 500) }
        let store = store
        perform { [unowned self] executions in
            do {
                _ = try await executions.cancel(id, organization: store.organization, by: store.user, visibleTo: nil)
                do { try world.oracle.cancelAccepted(order.index) } catch { breach = error }
            } catch let error as BerthError where error.code == .illegalTransition {
                return
            } catch {
                world.add(.cancel(order.index), after: 500)
            }
        }
    }

    private func perform(_ body: @escaping @Sendable (ExecutionService) async throws -> Void) {
        guard let executions else { return }
        jobs?.yield { try? await body(executions) }
    }

    // MARK: - Links

    func accept(_ connection: Connection) {
        guard let workers, let process else { return }
        let inbox = SimInbox()
        inboxes[connection.number] = inbox
        let identity = WorkerIdentity(organizationID: store.organization, ownerID: nil, place: .alone)
        let transport = SimTransport(world, connection, process)
        jobs?.yield {
            let link = workers.connect(identity, over: transport)
            // As `WorkerHub.serve`.
            await withDiscardingTaskGroup { group in
                group.addTask { await link.run() }
                for await _ in inbox.news { await link.receive(inbox.take()) }
                await link.disconnected()
                group.cancelAll()
            }
        }
    }

    func receive(_ item: Upward, on connection: Connection) throws {
        let inbox = inboxes[connection.number]
        switch item {
        case .message(let message): inbox?.add(.text(try MessageCodec.encode(message)))
        case .frame(let frame): inbox?.add(.binary(frame.encoded()))
        case .ping: break
        }
    }

    func gone(_ connection: Connection) throws { inboxes.removeValue(forKey: connection.number)?.finish() }

    // MARK: - Looking

    var isSlow: Bool { process?.isSlow ?? true }
    var isIdle: Bool { process?.interrupted == 0 }

    func checkRest() throws {
        for candidate in workers?.registry.candidates() ?? [] {
            let name = try store.look { try $0.first("SELECT name FROM workers WHERE id = $1", candidate.workerID) }
            guard let text = try name?.text("name"), let index = Int(text.dropFirst("worker-".count)) else { continue }
            if candidate.freeSlots != world.plan.slots[index] {
                throw Breach(
                    rule: "slots come back",
                    words: "worker \(index) has \(candidate.freeSlots) of \(world.plan.slots[index])"
                )
            }
        }
    }
}

/// The services' own log, among the trace.
struct TraceSink: LogSink, @unchecked Sendable {
    unowned let world: World

    func write(_ line: [UInt8], _ level: LogLevel) {
        world.trace("log: \(String(decoding: line.dropLast(), as: UTF8.self))")
    }
}
