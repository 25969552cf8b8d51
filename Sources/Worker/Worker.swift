internal import Base
internal import BerthCore
internal import EventLoop
internal import Glibc
internal import Subprocess
internal import Transport

/// The worker, put together.
struct Worker: Sendable {
    private let core: WorkerCore
    private let terminals: TerminalHouse
    private let sessions: AgentSessionHouse
    private let ssh: SSHServer
    private let files: FileHouse
    private let link: Link
    private let silence: Silence
    private let gate: String?

    init(_ options: WorkerOptions, loop: EventLoop, sink: any LogSink) async throws {
        gate = options.gate
        let time = loop.time
        let randomness = SystemRandomness()
        let ids = IDSource(time: time, randomness: randomness)
        let log = Log(sink: sink, time: time)
        let layout = try EnvironmentLayout(options)
        let holder = try await HolderClient.connect(to: options.holderSocket, loop: loop)
        let store = try await WorkerStore.open(directory: layout.state, time: time)
        let runner = HolderRunner(
            holder: holder,
            loop: loop,
            ids: ids,
            worker: layout.workerRights,
            agent: layout.agentRights
        )
        let git = Git(
            Git.Configuration(
                path: layout.path,
                agentHome: layout.agent.home,
                cacheDirectory: layout.cache,
                credentialHelper: "!'\(Self.ownProgram)' git-credential"
            ),
            runner: runner
        )
        try git.prepareCache()
        var configuration = HTTPClientConfiguration()
        configuration.trust = options.trust
        configuration.proxy = options.proxy
        let client = HTTPClient(loop: loop, configuration: configuration, randomness: randomness)
        let servers = ServerList(options.links)
        let services = Services(
            loop: loop,
            time: time,
            ids: ids,
            log: log,
            layout: layout,
            store: store,
            reserve: SpaceReserve(path: layout.state + "/reserve"),
            holder: holder,
            holderIdentity: HolderIdentity.ofParent(),
            git: git,
            runner: runner,
            files: ServerFiles(
                servers: servers,
                tokenFile: options.tokenFile,
                client: client,
                time: time,
                randomness: randomness
            ),
            mirrorSalt: try await store.setting("mirrorSalt") { Hex.encode(randomness.bytes(16)) }
        )
        let kept = try await store.setting("workerID") { ids.make(WorkerKind.self).text }
        core = WorkerCore(
            services: services,
            workerID: options.workerID ?? kept,
            stateID: kept,
            incarnation: Incarnation(options),
            slots: options.slots
        )
        terminals = TerminalHouse(services)
        sessions = AgentSessionHouse(services)
        ssh = SSHServer(services, runner: runner)
        files = FileHouse(services, program: Self.ownProgram)
        silence = Silence(time: time, file: layout.state + "/heard")
        link = Link(
            core: core,
            channelServices: EnvironmentServices(
                terminals: terminals,
                sessions: sessions,
                workspaces: WorkspaceHouse(services: services, terminals: terminals, sessions: sessions),
                ssh: ssh,
                files: files,
                repositories: RepositoryHouse(services),
                processes: ProcessHouse(services),
                handOvers: HandOverHouse(services, runner: runner, terminals: terminals, sessions: sessions),
                logins: LoginChecks(services: services, runner: runner)
            ),
            servers: servers,
            tokenFile: options.tokenFile,
            client: client,
            randomness: randomness,
            silence: silence,
            door: EgressDoor(loop: loop, log: log)
        )
    }

    /// The path that git's helper is called by.
    static var ownProgram: String {
        guard let path = realpath("/proc/self/exe", nil) else { return "berth-worker" }
        defer { free(path) }
        return String(cString: path)
    }

    func run() async throws {
        let signals = try await SignalSource([SIGTERM, SIGINT], loop: core.services.loop)
        try await core.recover()
        try await terminals.recover()
        try await sessions.recover()
        if let gate { try await Gate.pass(gate, loop: core.services.loop) }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in signals { return } }
            group.addTask { for await _ in core.services.holder.events {} }
            group.addTask { await terminals.run() }
            group.addTask { await sessions.run() }
            group.addTask { await ssh.run() }
            group.addTask { await files.run() }
            group.addTask { await link.run() }
            group.addTask { await silence.watch(asking: { await link.live.lastConfirmed }) { await core.fence() } }
            group.addTask {
                await withDiscardingTaskGroup { attempts in
                    for await work in core.work { attempts.addTask { await work() } }
                }
            }
            // A signal, or the end of the holder.
            await group.next()
            group.cancelAll()
        }
        await core.services.store.close()
    }
}
