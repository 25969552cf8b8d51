internal import AgentProtocol
internal import Base
internal import BerthCore
internal import Domain
internal import EventLoop
internal import HolderProtocol
internal import OutputStore
internal import Relay
internal import Subprocess
internal import WorkerProtocol

/// Owns the attempts of this worker. Lives on the loop.
actor WorkerCore {
    nonisolated let services: Services
    nonisolated let workerID: String
    /// Of the database of attempts.
    nonisolated let stateID: String
    nonisolated let startedAt: Timestamp
    nonisolated let incarnation: Incarnation
    nonisolated let slots: Int
    private var attempts: [AttemptKey: Attempt] = [:]
    /// Attempts that wait for a task of the worker's to carry them out.
    nonisolated let work: AsyncStream<@Sendable () async -> Void>
    private let addWork: AsyncStream<@Sendable () async -> Void>.Continuation
    private let meter: UseMeter

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        services.loop.serialExecutor.asUnownedSerialExecutor()
    }

    init(services: Services, workerID: String, stateID: String, incarnation: Incarnation, slots: Int) {
        self.services = services
        self.workerID = workerID
        self.stateID = stateID
        startedAt = services.time.now
        meter = UseMeter(time: services.time)
        self.incarnation = incarnation
        self.slots = slots
        (work, addWork) = AsyncStream.makeStream()
    }

    /// Takes up what a predecessor left: what the holder still runs goes on, what never began has failed.
    func recover() async throws {
        let children = try await services.holder.list()
        let known = try await services.store.all()
        for entry in known {
            let attempt = Attempt(key: entry.key, record: entry.record, services: services)
            attempts[entry.key] = attempt
            let child = children.first { $0.id == entry.key.description }
            switch AttemptMachine.found(
                report: entry.report,
                hasChild: child != nil,
                isSameHolder: entry.record.holder != nil && entry.record.holder == services.holderIdentity
            ) {
            case .ended(let report):
                do {
                    let spools = try await attempt.openSpools()
                    // Of an empty stream no file tells that it has ended.
                    try spools.stdout.finish()
                    try spools.stderr.finish()
                } catch {
                    // Told without its output; the server cuts the marks to what it has.
                    services.log.error(
                        "output of an ended attempt is lost",
                        ["attempt": entry.key, "error": "\(error)"]
                    )
                }
                await attempt.hasEnded(report)
                // Its predecessor died between the end and this.
                if child != nil { try? await services.holder.forget(entry.key.description) }
            case .kept: addWork.yield { await attempt.recover() }
            case .neverBegan: addWork.yield { await attempt.neverBegan() }
            case .lostWithHolder: addWork.yield { await attempt.lostWithHolder() }
            }
        }
        let keys = Set(known.map { $0.key.description })
        for child in children
        where !keys.contains(child.id) && !TerminalHouse.owns(child.id)
            && !AgentSessionHouse.owns(child.id)
        {
            // A short program of a predecessor's, or an attempt that was forgotten in the moment of its death.
            try? await services.holder.terminate(child.id, grace: .zero)
            let id = child.id
            addWork.yield { [services] in
                _ = try? await services.holder.exit(of: id)
                try? await services.holder.forget(id)
            }
        }
    }

    /// In a fixed order.
    var all: [Attempt] { attempts.sorted { $0.key < $1.key }.map(\.value) }

    func attempt(_ key: AttemptKey) -> Attempt? { attempts[key] }

    func hello() async -> WorkerMessage.Hello {
        var positions: [WorkerMessage.AttemptPosition] = []
        for attempt in all { positions.append(await attempt.position()) }
        return .init(
            workerId: workerID,
            version: WorkerProgram.version,
            capabilities: ["command", "claude", "git"] + ServerMessage.capabilities + [ServiceRequest.capability],
            protocol: ProtocolLimits.version,
            environmentId: services.layout.environmentID,
            instance: incarnation.number,
            attempts: positions,
            stateId: stateID,
            startedAt: startedAt.milliseconds
        )
    }

    /// Takes on an assignment: durable before anything of it starts.
    /// - Returns: nil when it is known already.
    func accept(_ assign: ServerMessage.Assign, isDocumented: Bool) async throws -> Attempt? {
        let key = try AttemptKey(wireID: assign.executionId, attempt: assign.attempt, isDocumented: isDocumented)
        try await services.store.checkNotFrozen(assign.workspace?.workspaceID)
        guard attempts[key] == nil else { return nil }
        let order = try order(assign, key: key)
        // What is begun must find room for its end.
        try services.reserve.restore()
        let attempt = Attempt(key: key, record: order.record, services: services)
        // Before the first suspension, so that the same assignment cannot come in between.
        attempts[key] = attempt
        do {
            guard try await services.store.accept(key, order.record) else { return nil }
        } catch {
            attempts[key] = nil
            throw error
        }
        addWork.yield { await attempt.run(order) }
        return attempt
    }

    /// For the commit of what was left uncommitted.
    private static func subject(_ assign: ServerMessage.Assign) -> String {
        let task = assign.prompt.isEmpty ? assign.agent?.command.map(CommandText.text) ?? "" : assign.prompt
        return task.split(whereSeparator: \.isNewline).first.map { String($0.prefix(72)) } ?? "Changes"
    }

    private func order(_ assign: ServerMessage.Assign, key: AttemptKey) throws -> AttemptOrder {
        let agent = assign.agent ?? .init(kind: .claude)
        let timeout = assign.config.timeoutMs > 0 ? assign.config.timeoutMs : nil
        let caps = RunCaps(
            timeoutMs: timeout,
            maxTurns: agent.maxTurns,
            maxCostUSD: agent.maxCostUSD,
            maxOutputBytes: assign.config.maxOutputBytes
        )
        try caps.validate()
        let record = AttemptRecord(
            wireID: assign.executionId,
            agent: agent.kind,
            caps: caps,
            subject: Self.subject(assign),
            workspace: assign.workspace,
            checkout: nil,
            temporaryDirectory: "\(services.layout.temporary)/berth-\(key.executionID)-\(key.attempt)",
            deadline: timeout.map { (services.time.uptime + .milliseconds($0)).nanoseconds },
            acceptedAt: services.time.now,
            holder: services.holderIdentity,
            stopCause: nil
        )
        return AttemptOrder(
            record: record,
            prompt: assign.prompt,
            variables: assign.env,
            agent: agent,
            remote: RemoteSecrets(
                logins: (assign.gitCredentials ?? []).map {
                    GitLogin(scheme: $0.scheme, host: $0.host, username: $0.username, password: Secret($0.password))
                },
                ssh: assign.ssh.map {
                    SSHIdentity(privateKey: $0.privateKey.map { Secret($0) }, knownHosts: $0.knownHosts)
                }
            )
        )
    }

    /// The server has recorded an end: row, bytes and the holder's memory of it go. What still runs is ended first: the
    /// end is another than its own, and the server takes no byte of it any more.
    func forget(_ key: AttemptKey) async {
        guard let attempt = attempts[key] else { return }
        guard await attempt.machine.mayBeDropped else { return await kill(key) }
        attempts[key] = nil
        do {
            services.store.forget(key)
            try await attempt.removeFiles()
        } catch {
            services.log.warning("attempt not removed", ["attempt": key, "error": "\(error)"])
        }
    }

    /// The server wants nothing of it any more: ended, then dropped without a word.
    func kill(_ key: AttemptKey) async {
        guard let attempt = attempts[key] else { return }
        await attempt.abandon()
        addWork.yield { [self] in
            while await !attempt.hasEnded {
                let seen = attempt.beacon.revision
                if await attempt.hasEnded { break }
                guard (try? await attempt.beacon.wait(after: seen)) != nil else { return }
            }
            await forget(key)
        }
    }

    func cancel(_ key: AttemptKey) async { await attempts[key]?.stop(.cancelled) }

    /// What goes on in this environment.
    /// - Parameter turns: of agent sessions.
    func activity(through tunnels: LinkChannels, terminals: TerminalHouse.Use, turns: Int) async -> ActivityReport {
        var running: [AgentKind] = []
        for attempt in all where await !attempt.hasEnded { running.append(await attempt.record.agent) }
        let usage = await TreeUsage.read()
        var report = meter.report(
            running: running,
            turns: turns,
            terminals: terminals,
            traffic: tunnels.traffic,
            processor: usage.processor
        )
        let disk = services.layout.diskSpace
        report.resources = .init(diskFreeBytes: disk?.free, diskBytes: disk?.total, memoryBytes: usage.memory)
        return report
    }

    /// Ends what still runs after `grace`.
    func wind(down grace: Duration) {
        addWork.yield { [self] in
            guard (try? await services.time.wait(for: grace)) != nil else { return }
            for attempt in await all { await attempt.stop(.cancelled) }
        }
    }

    /// The server was silent for too long: whatever runs may run elsewhere as well.
    func fence() async { for attempt in all { await attempt.stop(.fenced) } }

    var hasLiveAttempts: Bool {
        get async {
            for attempt in all where await !attempt.hasEnded { return true }
            return false
        }
    }
}
