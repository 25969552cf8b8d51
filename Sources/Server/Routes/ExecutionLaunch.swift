import API
import Base
import Domain
import Environments
import Executions
import Uploads
import WorkerProtocol
import Workspaces

/// From a request to run something to its execution: the environment is found or made, the workspace recorded.
extension ServerCore {
    /// - Parameters:
    ///   - onStandingWorker: not in an environment, but on a worker that stands alone.
    ///   - origin: the message that asks for it.
    func launch(
        _ request: CreateExecution,
        key: String?,
        by principal: Principal,
        onStandingWorker: Bool = false,
        origin: ExecutionOrigin? = nil
    ) async throws -> ExecutionRecord {
        let agent = request.agent ?? (request.command == nil ? .claude : .command)
        var spec = ExecutionSpec(
            agent: agent,
            workingDirectory: request.workingDirectory,
            model: request.model,
            resumeAgentSessionID: request.resumeAgentSessionId,
            caps: (request.config ?? RunConfig()).caps,
            retry: request.retry.flatMap { RetryPolicy(rawValue: $0) } ?? .never
        )
        var new = NewExecution(
            organizationID: principal.organizationID,
            ownerID: principal.userID,
            environmentID: nil,
            spec: spec,
            prompt: request.prompt ?? "",
            command: request.command,
            personaID: request.personaId,
            environment: Secret(variables(request, agent: agent)),
            gitCredentials: Secret((request.gitCredentials ?? []).map { ServerMessage.GitCredential($0) }),
            idempotencyKey: key
        )
        new.origin = origin
        new.ssh = request.ssh.map { Secret(ServerMessage.SSHCredential($0)) }
        // Before anything is made for it.
        try new.validate()
        if let checkout = request.repository {
            _ = try RepositoryURL(checkout.url, field: "repository.url")
            if let branch = checkout.branch { _ = try BranchName(branch, field: "repository.branch") }
        }
        guard !onStandingWorker else { return try await executions.create(new).execution }
        let upload = try await upload(of: request, isRepeatable: key != nil, by: principal)
        if let name = request.workspace {
            try await enter(name, request, &new, by: principal)
            return try await executions.create(new).execution
        }
        let environment = try await environment(for: request, by: principal)
        new.environmentID = environment.id
        if let checkout = request.repository {
            var wanted = NewWorkspace(
                organizationID: principal.organizationID,
                ownerID: principal.userID,
                environmentID: environment.id,
                repositoryURL: checkout.url,
                baseReference: checkout.base,
                branch: checkout.branch,
                task: request.prompt ?? request.command.map(CommandText.text) ?? "",
                push: checkout.push ?? false,
                commitLeftovers: checkout.commitLeftovers ?? true
            )
            wanted.location = configuration.location
            let made = try await workspaces.create(wanted)
            spec.workspace = made.request
            spec.workspace?.upload = upload?.reference
            new.spec = spec
            new.workspaceID = made.workspace.id
        }
        let record = try await create(new, by: principal)
        if let upload { try await files.uploads.bind(upload.id, organization: upload.organizationID, to: record.id) }
        return record
    }

    private func create(_ new: NewExecution, by principal: Principal) async throws -> ExecutionRecord {
        let created: CreatedExecution
        do {
            created = try await executions.create(new)
        } catch {
            try await discard(new.workspaceID, by: principal)
            throw error
        }
        // A repeated request has its own workspace already.
        if !created.isNew, created.execution.workspaceID != new.workspaceID {
            try await discard(new.workspaceID, by: principal)
        }
        return created.execution
    }

    func discard(_ workspace: WorkspaceID?, by principal: Principal) async throws {
        guard let workspace else { return }
        _ = try await workspaces.archive(
            workspace,
            organization: principal.organizationID,
            by: principal.userID,
            visibleTo: principal.visibleUser
        )
    }

    /// The caller's variables; a claude run without a login of its own gets the deployment's subscription token.
    private func variables(_ request: CreateExecution, agent: AgentKind) -> [String: String] {
        var variables = request.env ?? [:]
        let logins = ["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"]
        if agent == .claude, !logins.contains(where: { variables[$0] != nil }),
            let token = configuration.secret("claudeToken")
        {
            variables["CLAUDE_CODE_OAUTH_TOKEN"] = token.reveal()
        }
        return variables
    }

    func environment(
        for request: CreateExecution,
        by principal: Principal,
        autoStopMinutes: Int? = nil
    ) async throws -> EnvironmentRecord {
        let spec = environmentSpec(
            provider: request.provider,
            limits: request.limits,
            policy: nil,
            network: request.network,
            image: request.image
        )
        switch request.environment {
        case nil, "personal":
            let record = try await environments.personal(
                principal.organizationID,
                user: principal.userID,
                spec: spec
            )
            try Self.check(request, against: record)
            return try await awake(record)
        case "new":
            var new = NewEnvironment(organizationID: principal.organizationID, ownerID: principal.userID, spec: spec)
            if let autoStopMinutes { new.autoStopMinutes = autoStopMinutes }
            return try await environments.create(new)
        case let name?:
            let record = try await environments.find(
                name,
                organization: principal.organizationID,
                user: principal.userID
            )
            try Self.check(request, against: record)
            return try await awake(record)
        }
    }

    /// A paused environment's worker is still connected, and frozen: it is woken before work is given to it.
    private func awake(_ record: EnvironmentRecord) async throws -> EnvironmentRecord {
        guard record.state != .running || record.desired != .running else { return record }
        if let reason = try await environments.wake(record.id, organization: record.organizationID) {
            throw BerthError(.conflict, reason.message, field: "environment", remedy: reason.remedy)
        }
        return record
    }

    /// What was asked of a new environment must hold of one that exists: nothing is silently ignored.
    private static func check(_ request: CreateExecution, against record: EnvironmentRecord) throws(BerthError) {
        func refuse(_ field: String, _ what: String) -> BerthError {
            BerthError(
                .conflict,
                "environment '\(record.name)' exists with another \(what)",
                field: field,
                remedy: "leave the option out, use environment 'new', or make one with 'berth env create'"
            )
        }
        if let provider = request.provider, provider != record.spec.provider { throw refuse("provider", "provider") }
        if let image = request.image, image != record.spec.image { throw refuse("image", "image") }
        if let limits = request.limits, limits != record.requested ?? record.spec.limits {
            throw refuse("limits", "set of limits")
        }
        if let network = request.network, network != record.spec.network { throw refuse("network", "network policy") }
    }
}
