import Base
import Crypto
import Database
import Domain
public import Executions
import OpenSSL
import OutputStore
import Synchronization
import WorkerProtocol
public import Workers

// As the server wires them.
extension WorkerRegistry: WorkerPool {}
extension ExecutionService: AttemptBridge {}

/// The services as the server wires them, with workers at the end of a link in memory.
struct Plane: Sendable {
    private let executions: ExecutionService
    private let workers: WorkerService
    private let database: any SQLDatabase
    private let tenants: [(organization: OrganizationID, user: UserID)]
    private let time = SystemTime()

    private static let report = ExecutionReport(
        outcome: .completed,
        exitCode: 0,
        durationMs: 1,
        stdout: OutputMark(totalBytes: 0, headBytes: 0, tailBytes: 0, sha256: Hex.encode(SHA256.hash([]))),
        stderr: OutputMark(totalBytes: 0, headBytes: 0, tailBytes: 0, sha256: Hex.encode(SHA256.hash([])))
    )

    init(_ database: any SQLDatabase, output: String, organizations: Int) async throws {
        let (time, randomness) = (SystemTime(), SystemRandomness())
        let ids = IDSource(time: time, randomness: randomness)
        let (feed, registry) = (Feed(database), WorkerRegistry())
        let log = Log(sink: SilentSink(), time: time)
        let tenants: [(OrganizationID, UserID)] = (0..<organizations).map { _ in (ids.make(), ids.make()) }
        try await database.write { connection in
            for (organization, user) in tenants {
                try connection.run("INSERT INTO organizations (id, name, created_at) VALUES ($1, 'o', 1)", organization)
                try connection.run("INSERT INTO feed (organization_id) VALUES ($1)", organization)
                try connection.run("INSERT INTO users (id, name, created_at) VALUES ($1, 'u', 1)", user)
            }
        }
        self.tenants = tenants
        self.database = database
        executions = ExecutionService(
            database: database,
            feed: feed,
            sealer: Sealer(KeyRing(current: try MasterKey.make(randomness)), randomness: randomness),
            workers: registry,
            environments: Surroundings(),
            output: SegmentOutput(SegmentStore(root: output)),
            workspaces: Surroundings(),
            time: time,
            ids: ids,
            log: log
        )
        workers = WorkerService(
            database: database,
            feed: feed,
            registry: registry,
            attempts: executions,
            instances: Surroundings(),
            time: time,
            ids: ids,
            randomness: randomness,
            log: log
        )
    }

    private func create(_ number: Int) async throws {
        let tenant = tenants[number % tenants.count]
        _ = try await executions.create(
            NewExecution(
                organizationID: tenant.organization,
                ownerID: tenant.user,
                environmentID: nil,
                spec: ExecutionSpec(agent: .command),
                command: ["true"]
            )
        )
    }

    private func create(_ count: Int, _ inFlight: Int) async throws {
        try await side(by: inFlight, count) { try await create($0) }
    }

    /// `body` for every number below `count`, `width` at a time.
    private func side(by width: Int, _ count: Int, _ body: @escaping @Sendable (Int) async throws -> Void) async throws
    {
        try await withThrowingDiscardingTaskGroup { group in
            let next = Counter()
            for _ in 0..<width {
                group.addTask {
                    while true {
                        let number = next.take()
                        guard number < count else { return }
                        try await body(number)
                    }
                }
            }
        }
    }

    /// A worker of each organization with `slots`; what they are given comes out of the stream.
    private func connect(_ name: String, slots: Int) async throws -> (AsyncStream<Given>, [WorkerLink]) {
        let (given, continuation) = AsyncStream<Given>.makeStream()
        var links: [WorkerLink] = []
        for tenant in tenants {
            let identity = WorkerIdentity(organizationID: tenant.organization, ownerID: nil, place: .alone)
            let transport = MemoryLink(given: continuation)
            let link = workers.connect(identity, over: transport)
            let hello = WorkerMessage.Hello(
                workerId: "\(name)-\(tenant.organization)",
                version: "0",
                capabilities: [],
                protocol: 1,
                attempts: []
            )
            await link.receive(text: try MessageCodec.encode(WorkerMessage.hello(hello)))
            let row = try await database.read { try $0.first(Self.worker, hello.workerId) }
            guard let id: WorkerID = try row?.id("id") else { throw BerthError(.notFound, "the worker is not there") }
            transport.worker.withLock { $0 = id }
            await link.receive(text: try MessageCodec.encode(WorkerMessage.ready(.init(slots: slots))))
            links.append(link)
        }
        return (given, links)
    }

    private static let worker: SQL = "SELECT id FROM workers WHERE name = $1"

    private func end(_ given: Given) async throws {
        let now = time.now
        try await executions.completed(given.key, worker: given.worker, Self.report, startedAt: now)
    }

    /// `count` ends of what was given out before.
    func ends(_ count: Int, _ inFlight: Int) async throws -> Cost {
        var (links, given): ([WorkerLink], [Given]) = ([], [])
        while given.count < count {
            let wanted = min(1000 * tenants.count, count - given.count)
            let (stream, more) = try await connect("ends-\(given.count)", slots: 1024)
            links += more
            try await create(wanted, inFlight)
            given += await take(wanted, of: stream)
        }
        let all = given
        let began = Moment()
        try await side(by: inFlight, count) { try await end(all[$0]) }
        let cost = Moment().since(began)
        for link in links { await link.disconnected() }
        return cost
    }

    private func take(_ count: Int, of stream: AsyncStream<Given>) async -> [Given] {
        var all: [Given] = []
        for await given in stream {
            all.append(given)
            if all.count == count { break }
        }
        return all
    }

    /// `count` ends of what was queued, with the dispatcher between each two.
    func dispatched(_ count: Int, _ inFlight: Int) async throws -> Cost {
        try await create(count, inFlight)
        return try await withThrowingTaskGroup(of: Cost?.self) { group in
            group.addTask {
                do { try await executions.run() } catch is CancellationError {}
                return nil
            }
            group.addTask {
                let began = Moment()
                let (stream, links) = try await connect("dispatched", slots: inFlight / tenants.count)
                try await withThrowingDiscardingTaskGroup { ends in
                    var rest = count
                    for await given in stream {
                        ends.addTask { try await end(given) }
                        rest -= 1
                        if rest == 0 { break }
                    }
                }
                let cost = Moment().since(began)
                for link in links { await link.disconnected() }
                return cost
            }
            defer { group.cancelAll() }
            while let ended = try await group.next() { if let cost = ended { return cost } }
            throw BerthError(.internal, "the dispatcher has ended")
        }
    }
}
