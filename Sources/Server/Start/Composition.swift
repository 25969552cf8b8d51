import API
import Accounts
import Base
import Crypto
import Database
import Domain
import Environments
import EventLoop
import Executions
import Jobs
import Onboarding
import OpenSSL
import Providers
import Replicas
import Transport
import Uploads
import Workers
import Workspaces

/// The one place that knows all parts: makes them, wires their bridges, and runs their loops.
struct Composition: Sendable {
    let core: ServerCore
    private let http: HTTPServer
    private let tls: TLSIdentity?
    let links: LinkSockets
    let environmentsPath: String
    private let loop: EventLoop
    private let log: Log

    static func make(
        _ configuration: Configuration,
        _ directory: DataDirectory,
        loops: [EventLoop],
        time: any TimeSource,
        log: Log
    ) async throws -> Composition {
        let randomness = SystemRandomness()
        let ids = IDSource(time: time, randomness: randomness)
        let metrics = Metrics(loops: loops)
        let (database, keyRing) = try await database(
            configuration,
            directory,
            randomness: randomness,
            time: time,
            log: log
        )
        try configuration.role.check(database.dialect)
        let feed = Feed(database)
        let accounts = Accounts(database: database, feed: feed, ids: ids, time: time, randomness: randomness)
        let principal = try await accounts.bootstrapSingleUser()
        try await APIKeyFile.ensure(directory, accounts, principal)
        let sealer = Sealer(keyRing, randomness: randomness)

        let seat = ReplicaSeat(try directory.replicaID(ids), isShared: database.dialect.isShared)
        let registry = WorkerRegistry(seat: seat)
        let standing = configuration.secret("workerToken").map { [($0, principal.organizationID)] } ?? []
        let tokens = WorkerTokens(
            database: database,
            feed: feed,
            registry: registry,
            time: time,
            ids: ids,
            randomness: randomness,
            standing: standing
        )
        let hub = LateBinding<WorkerHub>()
        let links = LinkSockets(loops: loops, hub: hub, ids: ids, log: log)
        let house = try providers(configuration, links: links, loop: loops[0], time: time)
        let relay = EnvironmentRelay()
        let jobs = jobs(database, seat, ids, randomness, time: time, log: log)
        let environments = EnvironmentService(
            database: database,
            feed: feed,
            instances: house,
            workers: tokens,
            observer: relay,
            jobs: jobs,
            time: time,
            ids: ids,
            replica: seat.id,
            isHome: configuration.role.runsJobs,
            capacity: try configuration.capacity(),
            spares: try spares(configuration, house, principal),
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
        let executions = ExecutionService(
            database: database,
            feed: feed,
            sealer: sealer,
            workers: registry,
            environments: environments,
            output: output(configuration, directory, database, time: time, log: log),
            workspaces: workspaces,
            time: time,
            ids: ids,
            times: configuration.executionTimes,
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
        let replicas = ReplicaService(
            database: database,
            seat: seat,
            version: Version.product,
            observer: ReplicaStanding(workers: workers, executions: executions),
            time: time,
            log: log
        )
        try await replicas.begin()
        let files = TaskFiles(
            uploads: UploadService(database: database, time: time),
            executions: executions,
            tokens: tokens,
            incoming: try files("uploads", at: directory.uploadsPath, configuration, database, ids: ids, time: time),
            bundles: try files("bundles", at: directory.bundlesPath, configuration, database, ids: ids, time: time),
            ids: ids,
            time: time,
            log: log
        )
        let handOverFiles = HandOverFiles(
            handOvers: handOvers(configuration, database, feed, sealer, ids: ids, time: time),
            tokens: tokens,
            spool: try self.files(
                "hand-overs",
                at: directory.handOversPath,
                configuration,
                database,
                ids: ids,
                time: time
            ),
            ids: ids
        )
        hub.bind(
            WorkerHub(
                workers: workers,
                tokens: tokens,
                files: files,
                handOvers: handOverFiles,
                variables: WorkerVariables(workspaces: workspaces, tokens: tokens),
                metrics: metrics,
                maximumChannels: configuration.maximumWorkerChannels,
                reach: try configuration.egressReach,
                log: log
            )
        )
        let core = ServerCore(
            configuration: configuration,
            time: time,
            ids: ids,
            startedAt: time.uptime,
            log: log,
            metrics: metrics,
            database: database,
            feed: feed,
            accounts: accounts,
            executions: executions,
            environments: environments,
            jobs: jobs,
            providers: house,
            workspaces: workspaces,
            presences: presences(database, feed, ids, time: time, log: log),
            workers: workers,
            replicas: replicas,
            forward: ReplicaForward(
                replicas: replicas,
                seal: try MessageSeal(keyRing, purpose: "forward"),
                trust: try ServerAddress.trust(configuration),
                time: time
            ),
            hub: hub,
            files: files,
            bus: try BusHouse.make(
                configuration,
                database: database,
                feed: feed,
                home: principal.organizationID,
                sealer: sealer,
                ids: ids,
                time: time,
                randomness: randomness,
                log: log
            ),
            handOvers: handOverFiles.handOvers,
            handOverFiles: handOverFiles,
            handOverDesk: HandOverDesk(loop: loops[0]),
            sshDoors: SSHDoors(loop: loops[0], log: log),
            setups: SetupService(database: database, feed: feed, time: time),
            followers: ExecutionFollowers { StoredExecutionReading(executions, $0, $1) },
            changes: ChangeTails(feed)
        )
        try await begin(core)
        let door = FrontDoor(server: core, log: log, metrics: metrics)
        let tls = try identity(configuration)
        let http = HTTPServer(
            loops: loops,
            configuration: try httpConfiguration(configuration, tls),
            // Of requests: ids of what is kept come from the kernel one by one.
            ids: IDSource(time: time, randomness: PooledRandomness()),
            log: log
        ) {
            await door.handle($0)
        }
        core.http.bind(http)
        for loop in loops { loop.measureLag() }
        return Composition(
            core: core,
            http: http,
            tls: tls,
            links: links,
            environmentsPath: directory.environmentsPath,
            loop: loops[0],
            log: log
        )
    }

    /// Starts to take requests; returns the address for the CLI.
    func listen() async throws -> ServerAddress {
        let addresses = try core.configuration.listenAddresses()
        var urls: [String] = []
        for wanted in addresses {
            let address = try await http.listen(on: wanted)
            log.info("listening", ["address": address.description])
            urls.append(url(address))
            guard tls == nil, !address.isLoopback else { continue }
            log.warning(
                "listening beyond this machine without TLS: keys and output can be read on the way",
                ["address": address.description]
            )
        }
        if core.configuration.workerPort != 0 {
            try await http.listen(on: .tcp(host: Self.workerHost(addresses), port: core.configuration.workerPort))
        }
        let advertised = core.configuration.text("advertise")
        core.replicas.publish(address: advertised ?? urls[0], isForWorkers: advertised != nil)
        return ServerAddress(url: urls[0], key: nil, pins: tls.map { [$0.certificate.pin] } ?? [])
    }

    private static func workerHost(_ addresses: [ListenAddress]) -> String {
        for case .tcp(let host, _) in addresses { return host }
        return "127.0.0.1"
    }

    /// How this machine reaches it.
    private func url(_ address: SocketAddress) -> String {
        if address.family == .unix { return "unix:\(address.host)" }
        let host = address.isAny ? "127.0.0.1" : address.host
        return (tls == nil ? "http://" : "https://") + (host.contains(":") ? "[\(host)]" : host) + ":\(address.port)"
    }

    /// The loops that run until the server stops. None of them is waited for before requests are taken.
    func addServices(to group: inout ThrowingTaskGroup<Void, any Error>, at address: ServerAddress) {
        if let keeper = certificateKeeper(at: address) {
            group.addTask { [self] in try await keeping("certificate") { try await keeper.run() } }
        }
        if core.database.wakeUps != nil {
            group.addTask { [self] in try await keeping("feed") { try await core.feed.run(time: core.time) } }
        }
        group.addTask { [self] in try await keeping("accounts") { try await core.accounts.run() } }
        group.addTask { [self] in
            try await keeping("sessions") { try await core.sessions.run(core.accounts, time: core.time) }
        }
        group.addTask { [self] in try await keeping("executions") { try await core.executions.run() } }
        addReplicaServices(to: &group)
        addPresence(to: &group)
        group.addTask { [self] in try await keeping("workers") { try await core.workers.run() } }
        let retention = ChangeRetention(
            feed: core.feed,
            time: core.time,
            age: core.configuration.changesKept,
            floor: unpublished,
            log: log
        )
        group.addTask { [self] in try await keeping("changes") { try await retention.run() } }
        addBus(to: &group) { [self] name, loop in try await keeping(name, loop) }
        group.addTask { [self] in try await keeping("files") { try await core.files.run() } }
        group.addTask { [self] in try await keeping("hand-overs") { try await core.runHandOvers() } }
        addJobs(to: &group)
        addWorkspaces(to: &group)
        addSSH(to: &group)
    }

    /// A loop that fails, as all do while the disk is full, is begun again: the server outlives it.
    func keeping(_ name: String, _ loop: () async throws -> Void) async throws {
        while true {
            do {
                try await loop()
            } catch {
                try Task.checkCancellation()
                let error = BerthError(wrapping: error)
                log.error("loop begun again", ["loop": name, "code": error.code, "error": error.message])
            }
            try await core.time.wait(for: .seconds(1))
        }
    }

    /// No new work; workers are told to come back; open requests have `limit` to end.
    func drain(atMost limit: Duration) async {
        core.draining.begin()
        await core.jobs.handBack()
        core.followers.stop()
        core.changes.stop()
        await core.workers.closeAll(reason: "the server is stopping")
        await http.shutdown(drainingFor: limit)
        await links.closeAll()
        await core.replicas.end()
    }

    func close() async {
        await endBus()
        await core.database.close()
    }

    /// A new key is made only for a new data directory: beside an existing database it would lock its secrets for good.
    static func keys(
        _ configuration: Configuration,
        _ directory: DataDirectory,
        _ randomness: any Randomness
    ) throws(BerthError) -> KeyRing {
        if let given = configuration.secret("masterKey") { return KeyRing(current: try MasterKey(hex: given)) }
        guard Files.exists(directory.masterKeyPath) || !Files.exists(directory.databasePath) else {
            throw BerthError(
                .sealKeyUnknown,
                "\(directory.masterKeyPath) is gone; the stored secrets of \(directory.path) open with it alone",
                field: "masterKey",
                remedy: "restore the file from a backup; to go on without those secrets, make another one with: "
                    + "(umask 077; openssl rand -hex 32 > \(directory.masterKeyPath))"
            )
        }
        return try KeyFile.load(path: directory.masterKeyPath, randomness: randomness)
    }

    private static func providers(
        _ configuration: Configuration,
        links: LinkSockets,
        loop: EventLoop,
        time: any TimeSource
    ) throws -> ProviderHouse {
        let providers = try Programs.providers(configuration, loop: loop, time: time)
        return ProviderHouse(providers, links: links) { Programs.agents(configuration) }
    }

    private static func identity(_ configuration: Configuration) throws(BerthError) -> TLSIdentity? {
        guard let certificate = configuration.text("tlsCertificate"), let key = configuration.text("tlsKey") else {
            return nil
        }
        return try TLSIdentity(certificateFile: certificate, keyFile: key)
    }

    private func certificateKeeper(at address: ServerAddress) -> CertificateKeeper? {
        guard let tls, let certificate = core.configuration.text("tlsCertificate"),
            let key = core.configuration.text("tlsKey")
        else { return nil }
        return CertificateKeeper(
            identity: tls,
            certificateFile: certificate,
            keyFile: key,
            loop: loop,
            time: core.time,
            log: log
        ) { certificate in
            var address = address
            address.pins = [certificate.pin]
            try address.note(in: DataDirectory(path: core.configuration.dataDirectory))
        }
    }

    private static func httpConfiguration(_ configuration: Configuration, _ tls: TLSIdentity?) throws(BerthError)
        -> HTTPServerConfiguration
    {
        var http = try configuration.limits()
        http.tls = tls
        http.renderError = { FrontDoor.problem($0, requestID: nil) }
        return http
    }
}
