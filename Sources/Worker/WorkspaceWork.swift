internal import Base
internal import BerthCore
internal import Domain
internal import Glibc

/// What git may show to a remote; kept in memory only.
struct RemoteSecrets: Sendable {
    var logins: [GitLogin]
    var ssh: SSHIdentity?
}

/// The git part of an attempt: the checkout before it, the result after it.
struct WorkspaceWork: Sendable {
    let services: Services
    /// nil after the worker's own death.
    let remote: RemoteSecrets?

    private var maker: CheckoutMaker { CheckoutMaker(git: services.git, root: services.layout.workspaces) }

    func make(_ request: WorkspaceRequest) async throws -> Checkout {
        guard let upload = request.upload else {
            return try await withMirror(request) { try await maker.make(request, from: $0) }
        }
        let file = "\(services.layout.uploadDirectory)/\(upload.id)"
        defer { unlink(file) }
        try await services.files.fetch(upload, to: file)
        return try await withMirror(request, bundle: file) { try await maker.make(request, from: $0) }
    }

    /// What the agent left; a push that fails becomes a warning, since the work itself is done and kept.
    /// - Parameter bundle: the file for its new commits.
    func collect(
        _ checkout: Checkout,
        _ request: WorkspaceRequest,
        subject: String,
        bundle: String,
        note: @Sendable (_ stage: String, _ message: String) async -> Void
    ) async -> WorkspaceOutcome {
        var outcome: WorkspaceOutcome
        do {
            outcome = try await maker.result(of: checkout, commitLeftovers: request.commitLeftovers, task: subject)
        } catch {
            let problem = BerthError(wrapping: error)
            return WorkspaceOutcome(
                branch: checkout.branch,
                baseCommit: checkout.baseCommit,
                headCommit: nil,
                warnings: checkout.warnings + ["the result could not be read: \(problem.message)"]
            )
        }
        guard let head = outcome.headCommit else { return outcome }
        do {
            outcome.bundle = try await maker.bundle(head, of: checkout, to: bundle)
        } catch {
            let problem = BerthError(wrapping: error)
            services.log.warning("no bundle", ["error": "\(problem)", "detail": problem.detail ?? ""])
            outcome.warnings.append("the commits are kept in the workspace alone: \(problem.message)")
        }
        guard request.push, head != checkout.baseCommit else { return outcome }
        await note("pushing", "pushing \(request.branch)")
        do {
            guard remote != nil else {
                throw BerthError(.pushRejected, "the worker was restarted and has no credentials any more")
            }
            try await withMirror(request) { try await $0.push(head, of: checkout.path, as: request.branch) }
            outcome.pushed = true
        } catch {
            let problem = BerthError(wrapping: error)
            outcome.warnings.append("not pushed: \(problem.description)")
        }
        return outcome
    }

    private func withMirror<Value: Sendable>(
        _ request: WorkspaceRequest,
        bundle: String? = nil,
        _ body: (Mirror) async throws -> Value
    ) async throws -> Value {
        try await withMirror(request.repositoryURL, bundle: bundle, body)
    }

    func withMirror<Value: Sendable>(
        _ repositoryURL: String,
        bundle: String? = nil,
        _ body: (Mirror) async throws -> Value
    ) async throws -> Value {
        let url = try GitURL(repositoryURL, field: "workspace.repositoryURL")
        func mirror(_ credential: String, _ access: RemoteAccess) -> Mirror {
            // Goes into a digest with a salt that agents cannot see: another credential means another mirror.
            let account = credential.isEmpty ? "" : "\(services.mirrorSalt)\u{0}\(credential)"
            return Mirror(url: url, account: account, git: services.git, access: access, bundle: bundle)
        }
        switch url.transport {
        case .path, .bundle: return try await body(mirror("", .plain))
        case .ssh:
            let identity = remote?.ssh ?? SSHIdentity(privateKey: nil)
            return try await identity.withAccess(
                directory: services.layout.credentialDirectory,
                name: operationName,
                keptHosts: services.git.configuration.knownHostsFile
            ) { access in
                try await body(mirror(identity.privateKey?.reveal() ?? "", access))
            }
        case .http:
            let fitting = (remote?.logins ?? []).filter { login in
                url.credentialTarget.map { $0.scheme == login.scheme && $0.host == login.host.lowercased() } ?? false
            }
            guard !fitting.isEmpty else { return try await body(mirror("", .plain)) }
            let owner = fitting.map { "\($0.username)\u{0}\($0.password.reveal())" }.joined(separator: "\u{0}")
            return try await withLogins(fitting) { try await body(mirror(owner, .login(socket: $0))) }
        }
    }

    private var operationName: String { String(services.ids.make(RequestKind.self).text.suffix(16)) }

    private func withLogins<Value: Sendable>(_ logins: [GitLogin], _ body: (String) async throws -> Value) async throws
        -> Value
    {
        let server = try await CredentialServer(
            logins: logins,
            directory: services.layout.credentialDirectory,
            name: operationName,
            loop: services.loop
        )
        do {
            let value = try await body(server.path)
            await server.close()
            return value
        } catch {
            await server.close()
            throw error
        }
    }
}
