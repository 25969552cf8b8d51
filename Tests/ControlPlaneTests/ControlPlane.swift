import Accounts
import Base
import Crypto
import Database
import Domain
import Environments
import Executions
import Jobs
import OutputStore
import Synchronization
import TestSupport
import Workers
import Workspaces

/// The services wired as the server does, on a database of their own, with a provider that a test scripts.
struct ControlPlane: Sendable {
    let database: any SQLDatabase
    let feed: Feed
    let sealer: Sealer
    let organization: OrganizationID
    let user: UserID
    let executions: ExecutionService
    let environments: EnvironmentService
    let jobs: JobService
    let workers: WorkerService
    let tokens: WorkerTokens
    let registry: WorkerRegistry
    let workspaces: WorkspaceService
    let instances: FakeInstances
    let segments: SegmentStore
    let ids: IDSource
    let claims: ClaimAnswers

    /// The documented queues with waits that a test can afford.
    static let quickly: [WorkQueue: JobPolicy] = [
        .provision: JobPolicy(concurrency: 2, maximumAttempts: 3, firstWait: .milliseconds(5), kept: 100),
        .control: JobPolicy(concurrency: 5, maximumAttempts: 2, firstWait: .milliseconds(5), kept: 50),
    ]

    /// Runs `body` on every engine, one after the other.
    /// - Parameter connectsWorkers: every instance that starts gets a worker that says it is ready.
    static func with(
        time: any TimeSource = SystemTime(),
        times: EnvironmentTimes = EnvironmentTimes(),
        policies: [WorkQueue: JobPolicy] = quickly,
        executionTimes: ExecutionTimes = ExecutionTimes(),
        runs: Bool = true,
        spares: Int = 0,
        connectsWorkers: Bool = true,
        capacity: CapacityRules = CapacityRules(),
        _ body: @escaping @Sendable (ControlPlane) async throws -> Void
    ) async throws {
        try await withEachDatabase(time: time) { database in
            try await withTemporaryDirectory { directory in
                let plane = try await make(
                    database,
                    directory,
                    time,
                    times,
                    executionTimes,
                    policies,
                    spares: spares,
                    connectsWorkers,
                    capacity
                )
                try await plane.whileRunning(runs, body)
            }
        }
    }

    private static func make(
        _ database: any SQLDatabase,
        _ directory: String,
        _ time: any TimeSource,
        _ times: EnvironmentTimes,
        _ executionTimes: ExecutionTimes,
        _ policies: [WorkQueue: JobPolicy],
        spares: Int,
        _ connectsWorkers: Bool,
        _ capacity: CapacityRules
    ) async throws -> ControlPlane {
        let randomness = SystemRandomness()
        let ids = IDSource(time: time, randomness: randomness)
        let feed = Feed(database)
        let log = Log(sink: SilentSink(), time: time)
        let principal = try await Accounts(
            database: database,
            feed: feed,
            ids: ids,
            time: time,
            randomness: randomness
        )
        .bootstrapSingleUser()
        let sealer = Sealer(KeyRing(current: try MasterKey.make(randomness)), randomness: randomness)
        let registry = WorkerRegistry()
        let tokens = WorkerTokens(
            database: database,
            feed: feed,
            registry: registry,
            time: time,
            ids: ids,
            randomness: randomness,
            standing: [(Secret("standing-token"), principal.organizationID)]
        )
        let relay = EnvironmentRelay()
        let claims = ClaimAnswers()
        let late = LateWorkers(claims)
        let instances = FakeInstances { environment, token in
            if connectsWorkers { try await late.connect(token, environment) }
        }
        let seat = ReplicaSeat()
        seat.change { $0.registered(fence: 1, sentAt: time.uptime) }
        let jobs = JobService(
            database: database,
            seat: seat,
            policies: policies,
            time: time,
            ids: ids,
            randomness: randomness,
            log: log
        )
        let environments = EnvironmentService(
            database: database,
            feed: feed,
            instances: instances,
            workers: tokens,
            observer: relay,
            jobs: jobs,
            time: time,
            ids: ids,
            times: times,
            capacity: capacity,
            spares: SpareConfiguration(
                organizationID: principal.organizationID,
                userID: principal.userID,
                templates: [SpareTemplate(spec: EnvironmentSpec(), count: spares)]
            ),
            log: log
        )
        let workspaces = WorkspaceService(
            database: database,
            feed: feed,
            sealer: sealer,
            time: time,
            ids: ids,
            log: log
        )
        let segments = SegmentStore(root: directory + "/output")
        let executions = ExecutionService(
            database: database,
            feed: feed,
            sealer: sealer,
            workers: registry,
            environments: environments,
            output: SegmentOutput(segments),
            workspaces: workspaces,
            time: time,
            ids: ids,
            times: executionTimes,
            log: log
        )
        relay.bind(executions)
        let workers = WorkerService(
            database: database,
            feed: feed,
            registry: registry,
            attempts: executions,
            instances: environments,
            time: time,
            ids: ids,
            randomness: randomness,
            log: log
        )
        late.bind(workers, tokens)
        return ControlPlane(
            database: database,
            feed: feed,
            sealer: sealer,
            organization: principal.organizationID,
            user: principal.userID,
            executions: executions,
            environments: environments,
            jobs: jobs,
            workers: workers,
            tokens: tokens,
            registry: registry,
            workspaces: workspaces,
            instances: instances,
            segments: segments,
            ids: ids,
            claims: claims
        )
    }

    private func whileRunning(_ runs: Bool, _ body: @escaping @Sendable (ControlPlane) async throws -> Void)
        async throws
    {
        guard runs else { return try await body(self) }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            let loops: [@Sendable () async throws -> Void] = [
                executions.run, environments.run, workers.run, { try await jobs.run(environments) },
            ]
            for loop in loops {
                group.addTask {
                    do { try await loop() } catch is CancellationError {}
                    return false
                }
            }
            group.addTask {
                try await body(self)
                return true
            }
            defer { group.cancelAll() }
            while let isDone = try await group.next(), !isDone {}
        }
    }

    /// What a server started anew on the same database and files has: no memory of connections.
    func restarted(time: any TimeSource, seat: ReplicaSeat = ReplicaSeat()) -> ControlPlane {
        let log = Log(sink: SilentSink(), time: time)
        let registry = WorkerRegistry(seat: seat)
        let tokens = WorkerTokens(
            database: database,
            feed: feed,
            registry: registry,
            time: time,
            ids: ids,
            randomness: SystemRandomness(),
            standing: [(Secret("standing-token"), organization)]
        )
        let executions = ExecutionService(
            database: database,
            feed: feed,
            sealer: sealer,
            workers: registry,
            environments: environments,
            output: SegmentOutput(segments),
            workspaces: workspaces,
            time: time,
            ids: ids,
            log: log
        )
        let workers = WorkerService(
            database: database,
            feed: feed,
            registry: registry,
            attempts: executions,
            instances: environments,
            time: time,
            ids: ids,
            randomness: SystemRandomness(),
            log: log
        )
        return ControlPlane(
            database: database,
            feed: feed,
            sealer: sealer,
            organization: organization,
            user: user,
            executions: executions,
            environments: environments,
            jobs: jobs,
            workers: workers,
            tokens: tokens,
            registry: registry,
            workspaces: workspaces,
            instances: instances,
            segments: segments,
            ids: ids,
            claims: claims
        )
    }

    /// A worker that stands alone, registered and ready.
    func standingWorker(_ name: String = "worker-1", protocol version: Int? = 1, slots: Int = 2) async throws
        -> ScriptedWorker
    {
        let worker = ScriptedWorker(workers, try await tokens.authenticate(token: Secret("standing-token")))
        try await worker.register(name: name, protocol: version, slots: slots)
        return worker
    }

    /// The worker of an environment's instance, played by the test: connected and ready once the instance has started.
    func worker(of id: EnvironmentID) async throws -> ScriptedWorker {
        try await withDeadline(.seconds(30), time: SystemTime(), what: "the instance") {
            while true {
                let count = instances.called.count
                if let token = instances.state.withLock({ $0.tokens[id] }) {
                    let worker = ScriptedWorker(workers, try await tokens.authenticate(token: token))
                    try await worker.register(name: id.text)
                    return worker
                }
                try await instances.called.wait(after: count)
            }
        }
    }

    func command(_ arguments: String..., environment: EnvironmentID? = nil) -> NewExecution {
        NewExecution(
            organizationID: organization,
            ownerID: user,
            environmentID: environment,
            spec: ExecutionSpec(agent: .command),
            command: arguments
        )
    }

    func execution(_ id: ExecutionID) async throws -> ExecutionRecord {
        try await executions.get(id, organization: organization, visibleTo: user)
    }

    /// The execution once it is as wanted; fails after 10 s.
    func execution(_ id: ExecutionID, until isWanted: @escaping @Sendable (ExecutionRecord) -> Bool) async throws
        -> ExecutionRecord
    {
        try await withDeadline(.seconds(30), time: SystemTime(), what: "the execution's change") {
            let bell = executions.bell(for: id)
            while true {
                let count = bell.changes.count
                let record = try await execution(id)
                if isWanted(record) { return record }
                try await bell.changes.wait(after: count)
            }
        }
    }
}

/// Workers of instances, connected when they start.
private final class LateWorkers: Sendable {
    private let bound = Box()
    private let claims: ClaimAnswers

    init(_ claims: ClaimAnswers) { self.claims = claims }

    func bind(_ service: WorkerService, _ tokens: WorkerTokens) { bound.set((service, tokens)) }

    func connect(_ token: Secret<String>, _ environment: EnvironmentRecord) async throws {
        guard let (service, tokens) = bound.get() else { return }
        let worker = ScriptedWorker(service, try await tokens.authenticate(token: token), claims: claims)
        try await worker.register(name: environment.id.text)
        bound.keep(worker)
    }
}
