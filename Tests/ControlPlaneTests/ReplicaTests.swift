import Base
import Database
import Domain
import Environments
import Synchronization
import TestSupport
import Testing
import Uploads
import WorkerProtocol
import Workers

@testable import Executions
@testable import Replicas

@Suite struct ReplicaTests {
    private static let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())

    @Test(arguments: DatabaseEngine.allCases)
    func `every statement fits the schema`(engine: DatabaseEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await database.check(
                ReplicaService.statements(database.dialect) + ExecutionService.statements(database.dialect)
                    + DatabaseOutput.statements + SharedFileService.statements + UploadService.statements
                    + WorkerTokens.statements + EnvironmentService.statements
            )
        }
    }

    /// Counts what it was told.
    private final class Standing: ReplicaObserver {
        let adoptions = Mutex(0)
        let losses = Mutex(0)

        func adopted() async { adoptions.withLock { $0 += 1 } }
        func stoodDown() async { losses.withLock { $0 += 1 } }
    }

    private static func replica(
        _ database: any SQLDatabase,
        _ id: ReplicaID = ids.make(),
        _ observer: Standing = Standing(),
        time: any TimeSource = SystemTime()
    ) -> ReplicaService {
        ReplicaService(
            database: database,
            seat: ReplicaSeat(id, isShared: true),
            version: "1",
            observer: observer,
            time: time,
            log: Log(sink: SilentSink(), time: time)
        )
    }

    private static func expire(_ id: ReplicaID, in database: any SQLDatabase) async throws {
        try await database.write { try $0.run("UPDATE replicas SET expires_at = 1 WHERE id = $1", id) }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `a server acts from its registration until its lease runs out`(engine: DatabaseEngine) async throws {
        try await withDatabase(on: engine) { database in
            let time = SettableTime()
            let observer = Standing()
            let replica = Self.replica(database, Self.ids.make(), observer, time: time)
            #expect(!replica.seat.isActing(at: time.uptime))
            try await replica.begin()
            #expect(replica.seat.isActing(at: time.uptime))
            #expect(try await replica.living().map(\.id) == [replica.seat.id])
            time.advance(.seconds(9))
            try await replica.renew()
            time.advance(.seconds(9))
            #expect(replica.seat.isActing(at: time.uptime))
            time.advance(.seconds(1))
            #expect(!replica.seat.isActing(at: time.uptime), "not even when nobody has looked")
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `servers are listed with their leases, the dead for a day`(engine: DatabaseEngine) async throws {
        try await withDatabase(on: engine) { database in
            let replicas = [Self.replica(database), Self.replica(database), Self.replica(database)]
            for replica in replicas { try await replica.begin() }
            replicas[0].publish(address: "https://one", isForWorkers: true)
            try await replicas[0].renew()
            await replicas[1].end()
            try await Self.expire(replicas[2].seat.id, in: database)
            #expect(try await replicas[0].loads().map(\.record.id).contains(replicas[2].seat.id) == false)
            try await database.write { connection in
                try connection.run(
                    "UPDATE replicas SET expires_at = renewed_at - 1 WHERE id = $1",
                    replicas[2].seat.id
                )
            }
            let loads = try await replicas[0].loads()
            #expect(loads.count == 3)
            for (replica, status) in zip(replicas, [ReplicaLoad.Status.living, .ended, .lost]) {
                let load = try #require(loads.first { $0.record.id == replica.seat.id })
                #expect(load.status == status)
                #expect(load.fence == 1)
                #expect((load.leaseLeft > .zero) == (status == .living))
            }
            let first = try #require(loads.first { $0.record.id == replicas[0].seat.id })
            #expect(first.record.address == "https://one")
            #expect(first.leaseAge < .seconds(10))
            #expect(replicas[0].tally.counts.renewals == 1)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `a lease that the database no longer grants is lost, and won again with a new fence`(engine: DatabaseEngine)
        async throws
    {
        try await withDatabase(on: engine) { database in
            let observer = Standing()
            let replica = Self.replica(database, Self.ids.make(), observer)
            try await replica.begin()
            let first = try #require(replica.seat.fence)
            try await Self.expire(replica.seat.id, in: database)
            try await replica.renew()
            #expect(replica.seat.fence == nil)
            #expect(observer.losses.withLock { $0 } == 1)
            try await replica.renew()
            #expect(replica.seat.fence == first + 1)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `two processes of one identity do not take it from each other in turns`(engine: DatabaseEngine) async throws {
        try await withDatabase(on: engine) { database in
            let first = Self.replica(database)
            try await first.begin()
            let second = Self.replica(database, first.seat.id)
            try await second.begin()
            for _ in 0..<3 { try await first.renew() }
            #expect(first.seat.fence == nil)
            try await second.renew()
            #expect(second.seat.fence != nil)
            await second.end()
            try await first.renew()
            #expect(first.seat.fence != nil)
        }
    }

    /// A worker that has begun an execution on one server, and another server on the same database.
    private struct Pair: Sendable {
        var first: ControlPlane
        var second: ControlPlane
        var worker: ScriptedWorker
        var key: AttemptKey
        var time: SettableTime

        static func with(_ body: @escaping @Sendable (Pair) async throws -> Void) async throws {
            try await ControlPlane.with(runs: false) { plane in
                let time = SettableTime()
                let first = plane.restarted(time: time, seat: ReplicaSeat(ids.make()))
                let second = plane.restarted(time: time, seat: ReplicaSeat(ids.make()))
                let worker = try await first.standingWorker()
                _ = try await first.executions.create(plane.command("true"))
                let key = try await worker.assignment().key
                try await worker.start(key.executionID)
                try await body(Pair(first: first, second: second, worker: worker, key: key, time: time))
            }
        }

        func comesBack(to plane: ControlPlane, position: Int64 = 0) async throws -> ScriptedWorker {
            let worker = ScriptedWorker(
                plane.workers,
                try await plane.tokens.authenticate(token: Secret("standing-token"))
            )
            let ack = try await worker.register(
                attempts: [
                    .init(executionId: key.executionID, attempt: 1, stdout: position, stderr: 0, hasEnded: false)
                ]
            )
            #expect(ack.resume?.map(\.action) == [.resume])
            return worker
        }
    }

    @Test func `a worker that has moved to another server is not given up by the one that it left`() async throws {
        try await Pair.with { pair in
            await pair.worker.link.disconnected()
            let worker = try await pair.comesBack(to: pair.second)
            pair.time.advance(.seconds(3600))
            try await pair.first.workers.giveUpLost()
            #expect(try await pair.second.execution(pair.key.executionID).state == .running)
            try await worker.complete(pair.key, ExecutionServiceTests.report())
            #expect(try await pair.first.execution(pair.key.executionID).state == .completed)
        }
    }

    @Test func `what a living server holds is not expected by another`() async throws {
        try await Pair.with { pair in
            let (own, others) = (
                try await pair.first.executions.recover(), try await pair.second.executions.recover()
            )
            #expect(own == 1)
            #expect(others == 0)
        }
    }

    @Test func `the workers of a server that is gone pass to the next, which waits for them and then gives them up`()
        async throws
    {
        try await Pair.with { pair in
            let database = pair.first.database
            let observer = Standing()
            let dead = Self.replica(database, pair.first.registry.seat.id)
            let survivor = Self.replica(database, pair.second.registry.seat.id, observer)
            try await dead.begin()
            try await survivor.begin()
            try await survivor.renew()
            #expect(observer.adoptions.withLock { $0 } == 0)
            try await Self.expire(dead.seat.id, in: database)
            try await survivor.renew()
            #expect(observer.adoptions.withLock { $0 } == 1)
            let taken = try await pair.second.executions.recover()
            #expect(taken == 1)
            pair.time.advance(.seconds(89))
            try await pair.second.workers.giveUpLost()
            #expect(try await pair.second.execution(pair.key.executionID).state == .running)
            pair.time.advance(.seconds(2))
            try await pair.second.workers.giveUpLost()
            let end = try await pair.second.execution(pair.key.executionID)
            #expect(end.state == .failed && end.failure?.code == .infrastructureLost)
        }
    }

    @Test func `a server gives nothing to a worker that has connected elsewhere`() async throws {
        try await Pair.with { pair in
            // Its old connection has not noticed yet.
            let worker = try await pair.comesBack(to: pair.second)
            let queued = try await pair.first.executions.create(pair.first.command("echo"))
            #expect(queued.execution.state == .queued)
            #expect(try await pair.worker.closed() == 1008)
            #expect(pair.first.registry.candidates().isEmpty)
            let taken = try await pair.second.executions.create(pair.second.command("echo"))
            #expect(taken.execution.state == .assigned)
            #expect(try await worker.assignment().executionId == taken.execution.id.text)
        }
    }
}
