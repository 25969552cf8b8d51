internal import Base
internal import BerthCore
internal import Domain
internal import Glibc
internal import Relay
internal import Subprocess
internal import WorkerProtocol

/// What may be asked of a workspace besides running something in it. Its run script is a program on a terminal, so it
/// outlives this process, and its output is kept and watched as a terminal's is.
struct WorkspaceHouse: Sendable {
    private static let teardownTime = Duration.seconds(120)

    let services: Services
    let terminals: TerminalHouse
    let sessions: AgentSessionHouse

    func sync(_ call: WorkspaceSyncCall) async throws -> SyncReport {
        let work = WorkspaceWork(services: services, remote: RemoteSecrets(call.logins))
        guard !call.request.isInPlace else {
            throw BerthError(
                .unsupported,
                "a working tree in place is its owner's to sync",
                remedy: "run 'berth ws sync' in it"
            )
        }
        return try await work.withMirror(call.request) { try await work.maker.sync(call.request, from: $0) }
    }

    func look(_ call: WorkspaceLookCall) throws(BerthError) -> WorkspaceLook {
        let path = try checkout(call.directory)
        let texts = CheckoutFiles.configurations(in: path)
        var look = WorkspaceLook(configuration: .init(), file: nil, problem: nil, imports: [], path: path)
        do throws(BerthError) {
            (look.configuration, look.file) = try ConfigurationImport.choose(texts)
        } catch {
            look.problem = error.message
        }
        for file in ConfigurationImport.files {
            guard let text = texts[file] else { continue }
            do throws(BerthError) {
                if let found = try ConfigurationImport(file: file, text: text) { look.imports.append(found) }
            } catch {
                look.problem = look.problem ?? error.message
            }
        }
        return look
    }

    /// Tears down, keeps, removes. Asked without force it first says what would be lost, and then ends nothing.
    func archive(_ call: WorkspaceArchiveCall) async throws -> WorkspaceArchiveAnswer {
        let work = WorkspaceWork(services: services, remote: RemoteSecrets(call.logins))
        let path = work.maker.path(of: call.request.directory)
        let exists = access(path + "/.git", F_OK) == 0
        if exists, !call.force, !call.commitLeftovers, !call.request.isInPlace {
            let losses = try await work.maker.losses(in: path)
            guard losses.isEmpty else { return WorkspaceArchiveAnswer(isRemoved: false, losses: losses) }
        }
        if call.onlyLooks == true { return WorkspaceArchiveAnswer(isRemoved: false) }
        try await sessions.freeze(workspace: call.request.workspaceID)
        let answer: WorkspaceArchiveAnswer
        do {
            answer = try await end(call, work, path)
        } catch {
            try? await sessions.thaw(workspace: call.request.workspaceID)
            throw error
        }
        // Brought back, its sessions go on where they were.
        try await sessions.thaw(workspace: call.request.workspaceID)
        return answer
    }

    private func end(_ call: WorkspaceArchiveCall, _ work: WorkspaceWork, _ path: String) async throws
        -> WorkspaceArchiveAnswer
    {
        try await terminals.endAll(of: call.request.workspaceID)
        var warnings: [String] = []
        if access(path + "/.git", F_OK) == 0, let problem = await tearDown(path, call) { warnings.append(problem) }
        let end = try await work.withMirror(call.request) { mirror in
            try await work.maker.archive(
                call.request,
                in: mirror,
                commitLeftovers: call.commitLeftovers,
                force: call.force
            )
        }
        return WorkspaceArchiveAnswer(
            isRemoved: end.isRemoved,
            losses: end.losses,
            commit: end.commit,
            warnings: warnings
        )
    }

    func forget(_ call: WorkspaceForgetCall) async throws -> ServiceDone {
        let work = WorkspaceWork(services: services, remote: RemoteSecrets(call.logins))
        try await work.withMirror(call.request) { try await $0.forget(call.request.workspaceID) }
        try await sessions.discard(workspace: call.request.workspaceID)
        await terminals.removeEnded(of: call.request.workspaceID)
        return ServiceDone()
    }

    /// What went wrong with it; it does not hold up the end.
    private func tearDown(_ path: String, _ call: WorkspaceArchiveCall) async -> String? {
        guard let script = (try? CheckoutFiles.configuration(of: path))?.0.scripts.teardown else { return nil }
        var variables = services.layout.baseVariables
        variables.merge(CheckoutFiles.variables(of: path, workspace: call.request.workspaceID)) { _, new in new }
        variables.merge(call.variables ?? [:]) { _, new in new }
        let command = ProcessCommand(
            ["/bin/sh", "-c", script],
            environment: variables,
            directory: path,
            identity: .agent,
            deadline: Self.teardownTime
        )
        do {
            let result = try await services.runner.run(command)
            guard !result.succeeded else { return nil }
            let line = result.errorText.split(separator: "\n").last.map { ": \($0.prefix(200))" } ?? ""
            return "the teardown script did not end well\(line)"
        } catch {
            return "the teardown script: \(BerthError(wrapping: error).message)"
        }
    }

    /// Absolute path of a checkout that is there.
    func checkout(_ directory: String) throws(BerthError) -> String {
        let path = directory.hasPrefix("/") ? directory : "\(services.layout.workspaces)/\(directory)"
        guard access(path + "/.git", F_OK) == 0 else {
            throw BerthError(
                .notFound,
                "the workspace has no checkout in this environment",
                remedy: "set it up again: berth ws retry"
            )
        }
        return path
    }
}

extension RemoteSecrets {
    init?(_ logins: RemoteLogins?) {
        guard let logins else { return nil }
        self.init(
            logins: logins.gitCredentials.map {
                GitLogin(scheme: $0.scheme, host: $0.host, username: $0.username, password: Secret($0.password))
            },
            ssh: logins.ssh.map { SSHIdentity(privateKey: $0.privateKey.map { Secret($0) }, knownHosts: $0.knownHosts) }
        )
    }
}
