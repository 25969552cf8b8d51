internal import Base
internal import BerthCore
internal import Domain

/// The git part of an attempt: the checkout before it, the result after it.
struct WorkspaceWork: Sendable {
    let services: Services
    /// nil after the worker's own death: credentials are kept in memory only.
    let logins: [GitLogin]?

    private var maker: CheckoutMaker { CheckoutMaker(git: services.git, root: services.layout.workspaces) }

    func make(_ request: WorkspaceRequest) async throws -> Checkout {
        try await withMirror(request) { try await maker.make(request, from: $0) }
    }

    /// What the agent left; a push that fails becomes a warning, since the work itself is done and kept.
    func collect(
        _ checkout: Checkout,
        _ request: WorkspaceRequest,
        subject: String,
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
        guard request.push, let head = outcome.headCommit, head != checkout.baseCommit else { return outcome }
        await note("pushing", "pushing \(request.branch)")
        do {
            guard logins != nil else {
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
        _ body: (Mirror) async throws -> Value
    ) async throws -> Value {
        let url = try GitURL(request.repositoryURL, field: "workspace.repositoryURL")
        let fitting = (logins ?? []).filter { login in
            url.credentialTarget.map { $0.scheme == login.scheme && $0.host == login.host.lowercased() } ?? false
        }
        guard !fitting.isEmpty else {
            return try await body(Mirror(url: url, account: "", git: services.git, credentialSocket: nil))
        }
        // Goes into a digest with a salt that agents cannot see: another credential means another mirror.
        let owner = fitting.map { "\($0.username)\u{0}\($0.password.reveal())" }.joined(separator: "\u{0}")
        let server = try await CredentialServer(
            logins: fitting,
            directory: services.layout.credentialDirectory,
            name: String(services.ids.make(RequestKind.self).text.suffix(16)),
            loop: services.loop
        )
        do {
            let mirror = Mirror(
                url: url,
                account: "\(services.mirrorSalt)\u{0}\(owner)",
                git: services.git,
                credentialSocket: server.path
            )
            let value = try await body(mirror)
            await server.close()
            return value
        } catch {
            await server.close()
            throw error
        }
    }
}
