internal import AgentProtocol
internal import Base
internal import Domain
internal import EventLoop
internal import Relay
internal import Transport
internal import WorkerProtocol

/// Keeps the worker connected: to one of its servers, again after every loss, at once when a server on the same host
/// comes back.
struct Link: Sendable {
    let core: WorkerCore
    let channelServices: EnvironmentServices
    let servers: ServerList
    let tokenFile: String
    let client: HTTPClient
    let randomness: any Randomness
    let silence: Silence
    let door: EgressDoor
    let live = LiveConnection()

    private static let apart = Duration.milliseconds(200)
    private var services: Services { core.services }

    /// Runs until its task is cancelled.
    func run() async {
        var backoff = Backoff.workerReconnect
        var turn = 0
        var failures = 0
        while !Task.isCancelled {
            let targets = servers.all
            let target = targets[turn % targets.count]
            turn += 1
            // Watched from before the attempt, so that no appearance falls between the attempt and the wait.
            let watch = await watch(target)
            do {
                try await session(target) {
                    backoff.reset()
                    failures = 0
                }
                services.log.info("link closed", ["target": target])
            } catch is CancellationError {
                watch?.close()
                return
            } catch {
                let error = BerthError(wrapping: error)
                let facts: Log.Facts = ["target": target, "code": error.code, "error": error]
                // What will not pass by itself.
                if error.code == .unauthenticated {
                    services.log.error("link lost", facts)
                } else {
                    services.log.info("link lost", facts)
                }
            }
            failures += 1
            // All are asked before the wait gets longer; a little apart, as many workers lose a server at once.
            let hasAskedAll = failures % targets.count == 0
            await pause(hasAskedAll ? backoff.next(randomness) : Self.apart * randomness.fraction(), watch)
            watch?.close()
        }
    }

    /// One connection, from its opening to its end.
    private func session(_ target: String, _ isUp: () -> Void) async throws {
        let socket = try await open(target)
        let connection = LinkConnection(socket, services: channelServices)
        await connection.begin()
        // A server that refuses the worker has given it up, or may no longer act for it.
        var isTaken = false
        do {
            let askedAt = services.time.uptime
            try await connection.send(.hello(await core.hello()))
            let first = try await withDeadline(
                ProtocolLimits.helloDeadline,
                time: services.time,
                what: "the server's ack"
            ) {
                try await connection.receive()
            }
            guard case .ack(let ack) = first else {
                throw BerthError(.protocolViolation, "the server did not answer the hello with an ack")
            }
            services.log.info("link up", ["target": target])
            isTaken = true
            silence.heard(at: askedAt)
            live.set(connection)
            defer {
                live.set(nil)
                let door = door
                services.loop.spawn { await door.leave(connection.tunnels) }
            }
            isUp()
            servers.learn(ack.servers ?? [])
            await connection.met(ack)
            try await serve(connection, ack)
        } catch {
            if isTaken, let moment = await connection.lastConfirmed { silence.heard(at: moment) }
            connection.close(.normal, reason: "")
            throw error
        }
        if let moment = await connection.lastConfirmed { silence.heard(at: moment) }
        connection.close(.normal, reason: "")
    }

    private func open(_ target: String) async throws -> WebSocket {
        var url = try HTTPURL(target)
        if url.target == "/" { url.target = "/v1/worker" }
        let token = EnvironmentLayout.contents(tokenFile).trimmed
        var headers = HTTPHeaders()
        headers.set("authorization", "Bearer \(token)")
        var configuration = WebSocketConfiguration()
        configuration.maximumMessageBytes = ProtocolLimits.maximumMessageBytes
        // With the heartbeat's look at it, a living server is heard well within `selfFenceAfter`.
        configuration.pingInterval = .seconds(10)
        configuration.pongTimeout = .seconds(15)
        configuration.pingsRegularly = true
        configuration.compression = nil
        return try await client.webSocket(url, headers: headers, configuration: configuration) { [tokenFile] response in
            guard response.status == 401 || response.status == 403 else {
                return BerthError(.network, "the server answered with \(response.status)", isRetryable: true)
            }
            return BerthError(
                .unauthenticated,
                "the server does not take this worker's token: it was revoked, or is another server's",
                remedy: "put a valid one into \(tokenFile), which is read at every attempt; "
                    + "a worker of an environment gets one when that is started anew (berth env stop, berth env start)"
            )
        }
    }

    private func serve(_ connection: LinkConnection, _ ack: ServerMessage.Ack) async throws {
        let asked = ack.heartbeatMs.map { Duration.milliseconds(max(100, $0)) } ?? ProtocolLimits.heartbeat
        let interval = min(asked, ProtocolLimits.heartbeat)
        // Discarding: a plain group would keep every finished feed until the connection ends.
        try await withThrowingDiscardingTaskGroup { group in
            // One that cannot be sent means a closed connection, which `receive` tells of.
            group.addTask { try? await heartbeat(connection, every: interval) }
            for feed in await resume(ack, connection) { add(feed, to: &group) }
            try await connection.send(.ready(.init(slots: core.slots)))
            while let message = try await connection.receive() {
                if case .connect(let connect) = message {
                    group.addTask { await connection.tunnels.take(connect) }
                } else if let feed = try await take(message, connection) {
                    add(feed, to: &group)
                }
            }
            group.cancelAll()
        }
    }

    private func add(_ feed: AttemptFeed, to group: inout ThrowingDiscardingTaskGroup<any Error>) {
        group.addTask {
            do {
                if await feed.connection.isDocumented {
                    try await feed.runDocumented()
                    // Nobody will say that the end is recorded.
                    await core.forget(feed.attempt.key)
                } else {
                    try await feed.run()
                }
            } catch is CancellationError {
                return
            } catch {
                // Without its feed an attempt would hang: begin again with a new connection.
                services.log.warning("feed failed", ["attempt": feed.attempt.key, "error": "\(error)"])
                feed.connection.close(.internalError, reason: "a feed failed")
            }
        }
    }

    private func heartbeat(_ connection: LinkConnection, every interval: Duration) async throws {
        while true {
            try await services.time.wait(for: interval)
            if let moment = await connection.lastConfirmed { silence.heard(at: moment) }
            try await beat(connection)
        }
    }

    /// Says that it lives and, to one who knows, what goes on.
    private func beat(_ connection: LinkConnection) async throws {
        let isDocumented = await connection.isDocumented
        let terminals = await channelServices.terminals.use
        let turns = await channelServices.sessions.openTurns
        let activity =
            isDocumented ? nil : await core.activity(through: connection.tunnels, terminals: terminals, turns: turns)
        try await connection.send(
            .heartbeat(.init(timestamp: services.time.now.milliseconds, activity: activity))
        )
    }

    private func resume(_ ack: ServerMessage.Ack, _ connection: LinkConnection) async -> [AttemptFeed] {
        var feeds: [AttemptFeed] = []
        if await connection.isDocumented {
            // It asks for nothing, so it gets what it has not been sent yet.
            return await core.all.map { AttemptFeed(attempt: $0, connection: connection) }
        }
        for point in ack.resume ?? [] {
            let key = AttemptKey(executionID: point.executionId, attempt: point.attempt)
            guard let attempt = await core.attempt(key) else { continue }
            switch point.action {
            case .resume:
                feeds.append(
                    AttemptFeed(
                        attempt: attempt,
                        connection: connection,
                        stdout: point.stdout,
                        stderr: point.stderr
                    )
                )
            case .forget: await core.forget(key)
            case .kill: await core.kill(key)
            }
        }
        return feeds
    }

    private func take(_ message: ServerMessage, _ connection: LinkConnection) async throws -> AttemptFeed? {
        switch message {
        case .assign(let assign): return try await accept(assign, connection)
        case .cancel(let cancel):
            let isDocumented = await connection.isDocumented
            let key = try? AttemptKey(
                wireID: cancel.executionId,
                attempt: cancel.attempt,
                isDocumented: isDocumented
            )
            if let key { await core.cancel(key) }
        case .forget(let forget):
            await core.forget(AttemptKey(executionID: forget.executionId, attempt: forget.attempt))
        case .shutdown(let shutdown):
            services.log.info("server asks to shut down", ["reason": shutdown.reason])
            await core.wind(down: .milliseconds(max(0, shutdown.gracePeriodMs)))
        case .claim(let claim): try await connection.send(.claimed(await core.claim(claim)))
        case .network(let network): await door.open(network.allow, through: connection.tunnels)
        case .undialled(let undialled):
            services.log.debug("no way out", ["reason": undialled.reason])
            services.loop.execute { connection.tunnels.undialled(undialled.dial) }
        case .look: try await beat(connection)
        case .ack, .connect: break
        }
        return nil
    }

    private func accept(_ assign: ServerMessage.Assign, _ connection: LinkConnection) async throws -> AttemptFeed? {
        do {
            let isDocumented = await connection.isDocumented
            return try await core.accept(assign, isDocumented: isDocumented)
                .map { AttemptFeed(attempt: $0, connection: connection) }
        } catch {
            // Refused before anything began; there is no row, so this is all that is said of it.
            let report = ExecutionReport(
                outcome: .failed,
                failure: FailureReason(BerthError(wrapping: error)),
                durationMs: 0,
                hasStarted: false
            )
            try await connection.send(
                .complete(
                    .init(
                        executionId: assign.executionId,
                        status: .failed,
                        exitCode: -1,
                        durationMs: 0,
                        attempt: assign.attempt,
                        report: report
                    )
                )
            )
            return nil
        }
    }

    /// nil for a server elsewhere.
    private func watch(_ target: String) async -> FileWatch? {
        guard target.hasPrefix("unix:") else { return nil }
        return try? await FileWatch(path: String(target.dropFirst(5)), loop: services.loop)
    }

    /// Waits, but not longer than until the server's socket comes or goes.
    private func pause(_ duration: Duration, _ watch: FileWatch?) async {
        guard let watch else {
            try? await services.time.wait(for: duration)
            return
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await services.time.wait(for: duration) }
            group.addTask { try? await watch.change() }
            await group.next()
            group.cancelAll()
        }
    }
}
