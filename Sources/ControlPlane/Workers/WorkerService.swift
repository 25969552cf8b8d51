public import Base
public import Database
import Domain
public import WorkerProtocol

/// What a hello was answered with.
struct Admission: Sendable {
    var workerID: WorkerID
    var connection: Int64
    var ack: ServerMessage.Ack
    var held: [AttemptKey]
}

/// Workers' identities and connections. A class, because every connection holds it.
public final class WorkerService: Sendable {
    public let registry: WorkerRegistry
    let attempts: any AttemptBridge
    let instances: any InstanceBridge
    let time: any TimeSource
    let log: Log
    let database: any SQLDatabase
    private let feed: Feed
    private let ids: IDSource
    private let randomness: any Randomness
    /// Credit of an output channel.
    let window: Int64

    public init(
        database: any SQLDatabase,
        feed: Feed,
        registry: WorkerRegistry,
        attempts: any AttemptBridge,
        instances: any InstanceBridge,
        time: any TimeSource,
        ids: IDSource,
        randomness: any Randomness,
        window: Int64 = ChannelFrame.initialCredit,
        log: Log
    ) {
        self.window = window
        self.database = database
        self.feed = feed
        self.registry = registry
        self.attempts = attempts
        self.instances = instances
        self.time = time
        self.ids = ids
        self.randomness = randomness
        self.log = log
    }

    /// A new connection. Call `run` beside the reading of the socket, `receive` for each frame and `disconnected` at its
    /// end.
    public func connect(_ identity: WorkerIdentity, over transport: any LinkTransport) -> WorkerLink {
        WorkerLink(identity: identity, transport: transport, service: self)
    }

    /// Gives up the attempts of workers that have been away too long. One of the composition root's tasks.
    public func run() async throws {
        while true {
            let count = registry.changed.count
            try await giveUpLost()
            let deadline = registry.nextLoss ?? time.uptime + .seconds(3600)
            try await registry.changed.wait(after: count, until: deadline, time: time)
        }
    }

    public func giveUpLost() async throws {
        // What it holds may be another's by now: whoever has taken it over waits for the workers as well.
        guard registry.seat.isActing(at: time.uptime) else { return }
        for lost in registry.takeLost(now: time.uptime) where !lost.held.isEmpty {
            let reason = FailureReason(
                .infrastructureLost,
                "its worker was not heard for \(ProtocolLimits.lostAfter)",
                remedy: "run it again; 'retry: idempotent' lets Berth do so by itself"
            )
            do {
                try await attempts.lost(lost.held, worker: lost.id, lost.fence, reason)
            } catch {
                log.error("lost worker not recorded", ["worker_id": lost.id, "error": "\(error)"])
                let again = time.uptime + .seconds(5)
                for key in lost.held {
                    registry.expect(
                        lost.id,
                        organization: lost.organizationID,
                        connection: lost.fence.connection,
                        holding: key,
                        lostAt: again
                    )
                }
                try Task.checkCancellation()
            }
        }
    }
}

extension WorkerService {
    /// The server stops: workers are told, keep what they run and connect again.
    public func closeAll(reason: String) async {
        for link in registry.links() { await link.close(code: 1001, reason: reason) }
    }
}

// Connections.
extension WorkerService {
    func admit(_ hello: WorkerMessage.Hello, _ identity: WorkerIdentity, link: WorkerLink) async throws -> Admission {
        if let spoken = hello.protocol, spoken < 1 {
            throw BerthError(.protocolViolation, "hello.protocol must be 1 or more, or absent")
        }
        guard registry.seat.isActing(at: time.uptime) else {
            throw BerthError(
                .unavailable,
                "this server has lost its database's leave to act; it asks for it again",
                isRetryable: true
            )
        }
        let organization = identity.organizationID
        let workerID = try await workerID(of: hello, identity)
        // One after the other: what another server gave it before is in the books once it is connected here, and nothing
        // is added there afterwards.
        let (connection, keepsBooks) = try await recordConnection(workerID, hello, identity)
        let resumption = try await attempts.resume(
            worker: workerID,
            organization: organization,
            fence: WorkerFence(replicaID: registry.seat.id, connection: connection),
            attempts: hello.attempts,
            keepsBooks: keepsBooks
        )
        var candidate = WorkerCandidate(
            workerID: workerID,
            organizationID: organization,
            environmentID: nil,
            instance: nil,
            capabilities: hello.capabilities,
            protocolVersion: hello.protocol,
            freeSlots: 0,
            fence: WorkerFence(replicaID: registry.seat.id, connection: connection)
        )
        if case .environment(_, let environment, let instance) = identity.place {
            candidate.environmentID = environment
            candidate.instance = instance
        }
        let earlier = registry.connect(candidate, link: link, connection: connection, held: resumption.held)
        await earlier?.close(code: 1008, reason: "replaced by a newer connection of the same worker")
        var ack = ServerMessage.Ack(workerId: hello.workerId, sessionToken: Hex.encode(randomness.bytes(16)))
        if let spoken = hello.protocol {
            ack.protocol = min(spoken, ProtocolLimits.version)
            ack.heartbeatMs = ProtocolLimits.heartbeat.wholeMilliseconds
            ack.resume = resumption.points
            if case .alone = identity.place { ack.servers = registry.seat.servers }
        }
        log.info("worker connected", ["worker_id": workerID, "name": hello.workerId, "version": hello.version])
        return Admission(workerID: workerID, connection: connection, ack: ack, held: resumption.held)
    }

    private func workerID(of hello: WorkerMessage.Hello, _ identity: WorkerIdentity) async throws -> WorkerID {
        switch identity.place {
        case .environment(let id, let environment, let instance):
            guard hello.environmentId == nil || hello.environmentId == environment,
                hello.instance == nil || hello.instance == instance
            else {
                throw BerthError(.stale, "the hello names another environment or incarnation than the token")
            }
            return id
        case .alone:
            let id: WorkerID = ids.make()
            let now = time.now
            let organization = identity.organizationID
            return try await feed.transaction(organization: organization) { transaction in
                let row = try transaction.first(WorkerStore.insertAlone, id, organization, hello.workerId, now)
                let known: WorkerID = try row?.id("id") ?? id
                transaction.record(NewEvent("worker.registered", subject: known, ownerID: nil, at: now))
                return known
            }
            .value
        }
    }

    private func recordConnection(_ id: WorkerID, _ hello: WorkerMessage.Hello, _ identity: WorkerIdentity)
        async throws -> (connection: Int64, keepsBooks: Bool)
    {
        let capabilities = try WorkerStore.capabilitiesText(hello.capabilities)
        let replica = registry.seat.id
        let now = time.now
        let organization = identity.organizationID
        let isConnected = registry.isConnected(id)
        return try await feed.transaction(organization: organization) { transaction in
            let known = try transaction.first(WorkerStore.books, organization, id)
            let state = try known?.optionalText("state_id")
            let keepsBooks = state == nil || state == hello.stateId
            let began = try known?.optionalInteger("process_started_at")
            let isElsewhere = try known.map { row in
                try row.optionalInteger("disconnected_at") == nil && row.optionalText("replica_id") != replica.text
            }
            if !keepsBooks, isConnected || isElsewhere == true, let began, let ours = hello.startedAt, ours < began {
                throw BerthError(
                    .conflict,
                    "another worker of this name, begun later, is connected",
                    remedy: "give each worker a name of its own"
                )
            }
            let row = try transaction.first(
                WorkerStore.connect,
                organization,
                id,
                String(hello.version.prefix(100)),
                hello.protocol,
                capabilities,
                now,
                replica,
                hello.stateId.map { String($0.prefix(100)) },
                hello.startedAt
            )
            guard let row else { throw BerthError(.stale, "the worker's token was withdrawn") }
            let connection = try row.integer("connection")
            transaction.record(
                NewEvent(
                    "worker.connected",
                    subject: id,
                    ownerID: identity.ownerID,
                    payload: try JSONColumn.text(ConnectedFact(replicaId: replica, connection: connection)),
                    at: now
                )
            )
            return (connection, keepsBooks)
        }
        .value
    }

    /// Other servers tell of it by its row.
    func recordReady(_ id: WorkerID, _ identity: WorkerIdentity, connection: Int64, slots: Int) async throws {
        guard registry.seat.isShared else { return }
        let organization = identity.organizationID
        try await database.write { try $0.run(WorkerStore.ready, organization, id, connection, slots) }
    }

    func disconnected(_ id: WorkerID, _ identity: WorkerIdentity, connection: Int64, heardAt: Uptime?) async {
        let lostAt = (heardAt ?? time.uptime) + ProtocolLimits.lostAfter
        guard registry.disconnect(id, connection: connection, lostAt: lostAt) else { return }
        if case .environment(_, let environment, _) = identity.place { await instances.workerGone(environment) }
        let now = time.now
        do {
            _ = try await feed.transaction(organization: identity.organizationID) { transaction in
                let count = try transaction.run(
                    WorkerStore.disconnect,
                    identity.organizationID,
                    id,
                    connection,
                    now
                )
                guard count > 0 else { return }
                transaction.record(NewEvent("worker.disconnected", subject: id, ownerID: identity.ownerID, at: now))
            }
        } catch {
            log.warning("disconnection not recorded", ["worker_id": id, "error": "\(error)"])
        }
    }
}

/// The payload of `worker.connected`.
struct ConnectedFact: Codable {
    var replicaId: ReplicaID
    var connection: Int64
}
