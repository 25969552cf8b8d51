internal import AgentProtocol
internal import Base
internal import BerthCore
internal import Carriage
internal import Domain
internal import EventLoop
internal import FoundationEssentials
internal import Glibc
internal import HolderProtocol
internal import WorkerProtocol

/// Packs workspaces and makes them again. What reads or writes a person's files is a child with that person's rights;
/// this process moves whole files, and adds what the environment itself keeps of a workspace.
actor HandOverHouse {
    private static let packTime = Duration.seconds(3600)

    let services: Services
    private let runner: HolderRunner
    let terminals: TerminalHouse
    let sessions: AgentSessionHouse
    /// Hand-overs with a call under way: two would share files.
    private var busy: Set<HandOverID> = []

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        services.loop.serialExecutor.asUnownedSerialExecutor()
    }

    init(_ services: Services, runner: HolderRunner, terminals: TerminalHouse, sessions: AgentSessionHouse) {
        self.services = services
        self.runner = runner
        self.terminals = terminals
        self.sessions = sessions
    }

    /// One call of a hand-over at a time; a second one is told to come again.
    private func alone<Value: Sendable>(_ id: HandOverID, _ body: () async throws -> Value) async throws -> Value {
        guard busy.insert(id).inserted else {
            throw BerthError(.unavailable, "the environment is still at the step before", isRetryable: true)
        }
        defer { busy.remove(id) }
        return try await body()
    }

    // MARK: The source

    func freeze(_ call: HandOverFreeze) async throws -> FrozenWorkspace {
        try await alone(call.workspace.handOverId) {
            let id = call.workspace.workspaceId
            // Before the look, so that nothing begins between the two.
            try await services.store.freeze(id, epoch: call.epoch)
            do {
                let running = try await services.store.all().filter { entry in
                    entry.report == nil && entry.record.workspace?.workspaceID == id
                }
                guard running.isEmpty else {
                    throw BerthError(
                        .conflict,
                        "\(running.map { $0.key.executionID.text }.joined(separator: ", ")) runs in the workspace",
                        remedy: "wait for its end with --wait, or cancel it with 'berth cancel'"
                    )
                }
                try await checkTurns(in: id)
                try await sessions.freeze(workspace: id)
                return FrozenWorkspace(terminals: try await terminals.freeze(id))
            } catch {
                try await services.store.thaw(id)
                try await sessions.thaw(workspace: id)
                throw error
            }
        }
    }

    func thaw(_ call: HandOverThaw) async throws -> ServiceDone {
        try await services.store.thaw(call.workspaceId)
        try await sessions.thaw(workspace: call.workspaceId)
        return ServiceDone()
    }

    func pack(_ call: HandOverPack) async throws -> PackedWorkspace {
        try await alone(call.workspace.handOverId) {
            let (file, writing) = try place(call.workspace, "pack", forAgent: true)
            defer {
                close(writing)
                unlink(file)
            }
            let summary: PackSummary = try await child(
                "pack",
                PackOrder(
                    checkout: "\(services.layout.workspaces)/\(call.workspace.directory)",
                    home: services.layout.agent.home,
                    programs: services.layout.path,
                    file: file,
                    known: call.known,
                    includesIgnored: call.includesIgnored,
                    ignoredLimit: call.ignoredLimit,
                    limit: call.limit
                ),
                call.workspace.handOverId
            )
            let writer = EntryWriter(writing)
            try await terminals.write(call.workspace.workspaceId, to: writer)
            for archive in try await sessions.export(workspace: call.workspace.workspaceId) {
                try writer.put(.session, try JSONText.encode(archive))
            }
            try writer.put(.end)
            let (bytes, digest) = try FileDigest.of(file)
            try await services.files.give(file, bytes: bytes, sha256: digest, of: call.workspace.handOverId)
            let told = try JSONText.decode(JSONValue.self, from: try JSONText.encode(summary))
            return PackedWorkspace(bytes: bytes, sha256: digest, summary: told)
        }
    }

    // MARK: The destination

    /// Of the mirror, and of checkouts of the same remote.
    func tips(_ call: HandOverTips) async throws -> [String] {
        var tips: [String] = []
        for repository in [mirror(call.workspace), twin(call.workspace)].compactMap(\.self) {
            let command = ProcessCommand(
                ["git", "-c", "safe.directory=*", "for-each-ref", "--format=%(objectname)"],
                environment: [
                    "PATH": services.layout.path, "HOME": services.layout.agent.home, "GIT_CONFIG_NOSYSTEM": "1",
                ],
                directory: repository,
                identity: .agent
            )
            let result = try await runner.run(command)
            if result.succeeded { tips += result.outputText.split(separator: "\n").map(String.init) }
        }
        return Array(Set(tips).sorted().prefix(20_000))
    }

    func restore(_ call: HandOverRestore) async throws -> ServiceDone {
        try await alone(call.workspace.handOverId) {
            let (file, reading) = try place(call.workspace, "restore", forAgent: false)
            defer {
                close(reading)
                unlink(file)
            }
            try await services.files.fetch(call.workspace.handOverId, call.bytes, call.sha256, to: file)
            let _: Manifest = try await child("restore", order(call.workspace, file), call.workspace.handOverId)
            try await terminals.stage(reading, in: kept(call.workspace))
            try stageSessions(reading, in: kept(call.workspace))
            return ServiceDone()
        }
    }

    func settle(_ call: HandOverSettle) async throws -> ServiceDone {
        try await alone(call.workspace.handOverId) {
            let _: ServiceDone = try await child("settle", order(call.workspace, ""), call.workspace.handOverId)
            try await adoptSessions(from: kept(call.workspace), call.workspace)
            try await terminals.adopt(from: kept(call.workspace), into: call.workspace.workspaceId)
            try await services.store.thaw(call.workspace.workspaceId)
            return ServiceDone()
        }
    }

    func discard(_ call: HandOverDiscard) async throws -> ServiceDone {
        try await alone(call.workspace.handOverId) {
            try? FileManager.default.removeItem(atPath: kept(call.workspace))
            return try await child("discard", order(call.workspace, ""), call.workspace.handOverId)
        }
    }

    func orphan(_ call: HandOverOrphan) async throws -> OrphanedVersion {
        try await alone(call.workspace.handOverId) {
            try await services.store.freeze(call.workspace.workspaceId, epoch: call.epoch)
            _ = try await terminals.freeze(call.workspace.workspaceId)
            try await sessions.freeze(workspace: call.workspace.workspaceId)
            return try await child(
                "orphan",
                OrphanOrder(
                    checkout: "\(services.layout.workspaces)/\(call.workspace.directory)",
                    home: services.layout.agent.home,
                    programs: services.layout.path,
                    branch: call.branch
                ),
                call.workspace.handOverId
            )
        }
    }

    // MARK: Places

    private func order(_ workspace: HandedWorkspace, _ file: String) -> RestoreOrder {
        RestoreOrder(
            file: file,
            root: services.layout.workspaces,
            directory: workspace.directory,
            token: workspace.handOverId.text,
            home: services.layout.agent.home,
            programs: services.layout.path,
            mirror: mirror(workspace),
            twin: twin(workspace)
        )
    }

    /// What came of the environment's own records, until the workspace is settled.
    private func kept(_ workspace: HandedWorkspace) -> String {
        "\(services.layout.state)/hand-overs/\(workspace.handOverId)"
    }

    /// The mirror that was fetched without a credential: its objects are nobody's secret.
    private func mirror(_ workspace: HandedWorkspace) -> String? {
        guard let text = workspace.repositoryURL, let url = try? GitURL(text) else { return nil }
        let mirror = Mirror(url: url, account: "", git: services.git, access: .plain)
        return access(mirror.path, F_OK) == 0 ? mirror.path : nil
    }

    /// The version of the workspace that was sent from here before.
    private func twin(_ workspace: HandedWorkspace) -> String? {
        let path = "\(services.layout.workspaces)/\(workspace.directory)"
        return access(path + "/.git", F_OK) == 0 ? path : nil
    }

    /// An empty file in a directory that only this user can change; everybody may read it.
    /// - Parameter forAgent: the agent's user may write it, and this process through the open file that it gets.
    private func place(_ workspace: HandedWorkspace, _ what: String, forAgent: Bool) throws(BerthError)
        -> (path: String, file: CInt)
    {
        let directory = services.layout.handOverDirectory
        try EnvironmentLayout.make(directory, mode: 0o711)
        let path = "\(directory)/\(workspace.handOverId).\(what)"
        unlink(path)
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard file >= 0 else { throw OpenedFile.failure("made", path) }
        if forAgent, let identity = services.layout.agentIdentity { fchown(file, identity.uid, identity.gid) }
        return (path, file)
    }

    /// Runs this program's own verb with the rights of the person.
    private func child<Answer: Sendable & Codable>(_ verb: String, _ order: some Encodable, _ id: HandOverID)
        async throws -> Answer
    {
        let directory = services.layout.handOverDirectory
        try EnvironmentLayout.make(directory, mode: 0o711)
        let path = "\(directory)/\(id).\(verb).order"
        unlink(path)
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard file >= 0 else { throw OpenedFile.failure("made", path) }
        defer { unlink(path) }
        do {
            defer { close(file) }
            try OpenedFile.write(try JSONText.encode(order), to: file)
        }
        let result = try await runner.run(
            ProcessCommand(
                [Worker.ownProgram, "carriage", verb, path],
                environment: services.layout.baseVariables,
                directory: "/",
                identity: .agent,
                deadline: Self.packTime
            )
        )
        guard let answer = try? JSONText.decode(ServiceAnswer<Answer>.self, from: result.output) else {
            throw BerthError(
                .internal,
                "the environment's program for hand-overs ended without an answer",
                detail: "\(result.end) \(result.errorText.suffix(2000))"
            )
        }
        if let refusal = answer.refusal {
            services.log.warning(
                "hand-over refused inside",
                ["hand_over_id": id, "step": verb, "code": refusal.code, "detail": result.errorText.suffix(2000)]
            )
            throw refusal.error
        }
        guard let value = answer.value else { throw BerthError(.internal, "the answer is empty") }
        return value
    }
}

/// What ``CarriageProgram`` is to keep as a branch.
struct OrphanOrder: Sendable, Codable {
    var checkout: String
    var home: String
    var programs: String
    var branch: String
}
