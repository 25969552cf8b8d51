internal import AgentSessions
internal import Base
internal import Domain
internal import EventLoop
internal import Glibc
internal import HolderProtocol
internal import OutputStore
internal import Relay
internal import SessionHost
internal import Subprocess
internal import WorkerProtocol

/// Owns the agent sessions of an environment. What is durable of one is its row and its log, in the worker's database;
/// its agent is a child of the holder's, whose output goes to files before it is read, so that this process may be
/// killed at any moment. Lives on the loop.
actor AgentSessionHouse {
    let services: Services
    private(set) var sessions: [AgentSessionID: LiveSession] = [:]
    private let work: AsyncStream<@Sendable () async -> Void>
    private let addWork: AsyncStream<@Sendable () async -> Void>.Continuation

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        services.loop.serialExecutor.asUnownedSerialExecutor()
    }

    init(_ services: Services) {
        self.services = services
        (work, addWork) = AsyncStream.makeStream()
    }

    /// Whether a child of the holder's is a session's.
    static func owns(_ child: String) -> Bool { session(of: child) != nil }

    private static func session(of child: String) -> AgentSessionID? {
        child.split(separator: ":").first.flatMap { try? AgentSessionID(String($0)) }
    }

    /// Looks after all sessions until its task is cancelled; their agents go on.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await item in work { group.addTask { await item() } }
        }
    }

    nonisolated func later(_ item: @escaping @Sendable () async -> Void) { addWork.yield(item) }

    /// Takes up what a predecessor left.
    func recover() async throws {
        let children = Set(try await services.holder.list().map(\.id).filter(Self.owns))
        for record in try await services.store.sessions() {
            let session = add(record)
            let hasChild = children.contains(record.child)
            if record.process != .none {
                session.files = try? SessionFiles(run: record.run, directory: directory(of: record.id))
                session.put(.output(run: record.run))
            }
            if record.process == .none || hasChild {
                session.put(.step { $0.recover(hasChild: hasChild) })
            } else {
                session.put(.exit(run: record.run, .lost))
            }
            if hasChild { later { [self] in await watch(session, record.run) } }
        }
        let known = Set(sessions.values.map(\.record.child))
        for child in children.subtracting(known).sorted() {
            try? await services.holder.terminate(child, grace: .zero)
            later { [services] in
                _ = try? await services.holder.exit(of: child)
                try? await services.holder.forget(child)
            }
        }
    }

    func add(_ record: SessionRecord) -> LiveSession {
        let session = LiveSession(record, loop: services.loop, time: services.time)
        sessions[record.id] = session
        later { [self] in await serve(session) }
        return session
    }

    func drop(_ id: AgentSessionID) { sessions.removeValue(forKey: id)?.close() }

    nonisolated func directory(of id: AgentSessionID) -> String { "\(services.layout.state)/sessions/\(id)" }

    var inOrder: [LiveSession] {
        sessions.values.sorted { ($0.record.createdAt, $0.record.id) < ($1.record.createdAt, $1.record.id) }
    }

    func sessions(in workspace: WorkspaceID) -> [LiveSession] {
        inOrder.filter { $0.record.workspaceId == workspace }
    }

    func session(_ id: AgentSessionID) throws(BerthError) -> LiveSession {
        guard let session = sessions[id], !session.isRemoved else {
            throw BerthError(.notFound, "there is no agent session '\(id)' in this environment", field: "sessionId")
        }
        return session
    }

    /// Turns that run, or wait for a person.
    var openTurns: Int { sessions.values.count { $0.record.turn != nil } }
}

// What people do.
extension AgentSessionHouse {
    func list(_ listing: SessionListing) -> [AgentSession] {
        inOrder.map(\.record.view).filter { listing.workspaceId == nil || $0.workspaceId == listing.workspaceId }
    }

    func create(_ wish: SessionCreation) async throws -> AgentSession {
        try await services.store.checkNotFrozen(wish.workspaceId)
        // Repeated, it tells of the one that there is.
        if let known = sessions[wish.id] { return known.record.view }
        let present = sessions(in: wish.workspaceId).map(\.record).filter { !$0.isStopped }
        guard present.count < wish.limit else {
            throw BerthError(
                .quotaExceeded,
                "the workspace has \(present.count) agent sessions, and its limit is \(wish.limit)",
                remedy: "stop one ('berth session stop'), or raise the setting maxAgentSessions"
            )
        }
        let names = Set(present.map(\.name))
        if let name = wish.name, names.contains(name) {
            throw BerthError(
                .conflict,
                "there is a session '\(name)' in the workspace already",
                field: "name",
                remedy: "send to it, or choose another name"
            )
        }
        let free = (1...).lazy.map { $0 == 1 ? wish.agent.rawValue : "\(wish.agent)-\($0)" }
            .first { !names.contains($0) }
        let record = try SessionRecord(
            id: wish.id,
            workspaceId: wish.workspaceId,
            name: wish.name ?? free ?? wish.agent.rawValue,
            agent: wish.agent,
            workflow: wish.workflow,
            command: wish.command,
            instructions: wish.instructions,
            directory: "\(services.layout.workspaces)/\(wish.workspaceDirectory)",
            model: nil,
            permissionMode: .standard,
            requestTimeoutMs: wish.requestTimeoutMs,
            createdAt: services.time.now
        )
        let settings = SessionChange(
            model: wish.model,
            permissionMode: try PermissionMode(checking: wish.permissionMode, field: "permissionMode")
        )
        var trial = SessionMachine(record, now: services.time.now)
        try trial.change(settings)
        _ = try record.codec.codec.launch(trial.record.context, message: nil)
        let session = add(record)
        do {
            try await session.perform { machine in
                try machine.change(settings)
                machine.open()
            }
            if let failure = session.record.failure {
                throw BerthError(failure.code, failure.message, field: "agent", remedy: failure.remedy)
            }
            return session.record.view
        } catch {
            drop(wish.id)
            try? await services.store.remove(wish.id)
            throw error
        }
    }

    func perform(_ call: SessionDeed) async throws -> AgentSession {
        let session = try session(call.id)
        let deed = call.deed
        if let words = deed.send {
            let wasDown = session.record.process == .none
            _ = try await session.perform { try $0.send(words.text, id: words.id) }
            // Nothing has begun: whoever sent it is told why.
            if wasDown, session.record.process == .none, session.record.turn == nil,
                let failure = session.record.failure
            {
                throw BerthError(failure.code, failure.message, remedy: failure.remedy)
            }
        } else if let id = deed.withdraw {
            _ = try await session.perform { try $0.withdraw(id) }
        } else if let reply = deed.answer {
            try await session.perform { try $0.answer(reply.requestId, reply.answer) }
        } else if deed.interrupt != nil {
            try await session.perform { $0.interrupt() }
        } else if let settings = deed.change {
            let change = SessionChange(
                model: settings.model,
                permissionMode: try settings.permissionMode.map { text throws(BerthError) in
                    try PermissionMode(checking: text, field: "permissionMode")
                }
            )
            try await session.perform { try $0.change(change) }
        } else if deed.stop != nil {
            try await session.perform { try $0.stop() }
        } else if deed.remove != nil {
            try await session.perform { try $0.stop() }
            let view = session.record.view
            later { [self] in await remove(session) }
            return view
        } else {
            throw BerthError(.unsupported, "this worker does not know what is to be done with the session")
        }
        return session.record.view
    }

    private func remove(_ session: LiveSession) async {
        do {
            try await session.idle()
            let id = session.record.id
            drop(id)
            try await services.store.remove(id)
            rmdir(directory(of: id))
        } catch {
            services.log.warning("session not removed", ["session": session.record.id, "error": "\(error)"])
        }
    }

    func follow(_ attachment: SessionAttachment) throws(BerthError) -> ServiceStart {
        let session = try session(attachment.id)
        let read: @Sendable (Int64, SessionViewer) -> Void = { [self] seq, viewer in
            later { await self.fetch(session, after: seq, for: viewer) }
        }
        return { [services] channel in
            SessionViewer(attachment, session, channel, loop: services.loop, read: read).begin()
        }
    }

    /// Lines in one go: much at once, and not so much that others wait for it.
    private static let pageLines = 2000

    private func fetch(_ session: LiveSession, after seq: Int64, for viewer: SessionViewer) async {
        viewer.fetched(try? await services.store.lines(of: session.record.id, after: seq, limit: Self.pageLines))
    }
}
