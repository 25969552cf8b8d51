import API
import Base
import Domain
import Environments
import Executions
import Uploads
import WorkerProtocol
import Workspaces

// From a wish for a workspace to the execution that sets it up.
extension ServerCore {
    /// For checkout and set-up script together.
    private static let setupTimeoutMs: Int64 = 1_800_000

    func makeWorkspace(_ body: CreateWorkspace, by principal: Principal) async throws -> WorkspaceRecord {
        let parent = try await parent(body, by: principal)
        let issue = try body.issueUrl.map { text throws(BerthError) in try IssueURL(text) }
        var request = CreateExecution()
        request.environment = body.environment ?? parent?.environmentID.text
        request.provider = body.provider
        request.image = body.image
        request.ssh = body.ssh
        request.repository = try await checkout(body, parent, issue)
        guard let checkout = request.repository else {
            throw BerthError(.missingField, "there is nothing to check out", field: "repository")
        }
        let url = try RepositoryURL(checkout.url, field: "repository.url")
        let upload = try await upload(of: request, isRepeatable: false, by: principal, isAdopted: body.state != nil)
        let environment = try await environment(for: request, by: principal, autoStopMinutes: body.autoStopMinutes)
        try Self.check(body, parent, environment)
        var new = NewWorkspace(
            organizationID: principal.organizationID,
            ownerID: principal.userID,
            environmentID: environment.id,
            repositoryURL: url.text,
            baseReference: checkout.base,
            branch: checkout.branch ?? issue?.branch(title: body.issueTitle),
            task: body.name ?? body.issueTitle ?? issue.map { "issue \($0.number)" } ?? body.description
                ?? checkout.branch.map { Self.words(of: $0) } ?? url.name,
            issueURL: issue?.description
        )
        new.name = body.name
        new.description = body.description
        new.issueNumber = issue?.number
        new.issueTitle = body.issueTitle
        new.parentID = parent?.id
        new.autoStopMinutes = body.autoStopMinutes
        new.location = configuration.location
        new.directory = body.path
        new.setup = WorkspaceSetup(parentDirectory: parent?.directory, state: body.state)
        new.source =
            body.path != nil || body.state != nil
            ? .adopted
            : parent != nil
                ? .child
                : issue != nil ? .issue : checkout.branch != nil && checkout.base == nil ? .resumedBranch : .manual
        new.isCloudSyncEnabled = (body.cloudSyncEnabled ?? true) && body.path == nil && !url.isLocal
        new.credentials = try await logins(body, parent)
        let made = try await workspaces.create(new)
        do {
            if let variables = body.variables {
                try await workspaces.setVariables(
                    variables.mapValues { Secret($0) },
                    of: made.workspace.id,
                    organization: principal.organizationID,
                    by: principal.userID
                )
            }
        } catch {
            try await discard(made.workspace.id, by: principal)
            throw error
        }
        return try await setUp(
            made.workspace,
            made.request,
            upload: upload,
            timeoutMs: body.setupTimeoutMs,
            by: principal
        )
    }

    /// Hands a workspace to the execution that checks it out and runs its script.
    func setUp(
        _ workspace: WorkspaceRecord,
        _ request: WorkspaceRequest,
        upload: UploadRecord? = nil,
        timeoutMs: Int64? = nil,
        by principal: Principal
    ) async throws -> WorkspaceRecord {
        var request = request
        request.upload = upload?.reference
        request.commitLeftovers = false
        let organization = workspace.organizationID
        let logins = try await storedLogins(workspace)
        var new = NewExecution(
            organizationID: organization,
            ownerID: workspace.ownerID,
            environmentID: workspace.environmentID,
            spec: ExecutionSpec(
                agent: .command,
                caps: RunCaps(timeoutMs: timeoutMs ?? Self.setupTimeoutMs),
                workspace: request
            ),
            prompt: "",
            // Replaced by the repository's own script; a worker that knows of none fails by this name.
            command: ["berth-setup", workspace.name],
            environment: try await workspaces.variables(of: workspace.id, organization: organization),
            gitCredentials: Secret(logins?.gitCredentials ?? [])
        )
        new.ssh = logins?.ssh.map { Secret($0) }
        new.workspaceID = workspace.id
        do {
            let execution = try await executions.create(new).execution
            if let upload { try await files.uploads.bind(upload.id, organization: organization, to: execution.id) }
            return try await workspaces.setupBegan(workspace.id, organization: organization, execution: execution.id)
        } catch {
            let reason = FailureReason(BerthError(wrapping: error))
            try await workspaces.setupFailed(workspace.id, organization: organization, reason)
            throw error
        }
    }

    /// A further run in a workspace that exists: its checkout, its variables, its logins.
    func enter(
        _ name: String,
        _ request: CreateExecution,
        _ new: inout NewExecution,
        by principal: Principal
    ) async throws {
        guard request.repository == nil, request.environment == nil else {
            throw BerthError(
                .invalidValue,
                "a workspace has its own repository and environment",
                field: "workspace",
                remedy: "leave 'repository' and 'environment' out"
            )
        }
        let workspace = try await workspaces.find(
            name,
            organization: principal.organizationID,
            user: principal.userID,
            visibleTo: principal.visibleUser
        )
        guard workspace.state == .ready else {
            throw BerthError(
                .illegalTransition,
                "the workspace is \(workspace.state.rawValue)",
                field: "workspace",
                remedy: workspace.state == .failed
                    ? "set it up again: berth ws retry \(workspace.name)" : "wait until it is READY"
            )
        }
        new.environmentID = workspace.environmentID
        new.workspaceID = workspace.id
        new.spec.workspace = try await workspaces.request(workspace, push: false, commitLeftovers: false)
        let own = try await workspaces.variables(of: workspace.id, organization: principal.organizationID).reveal()
        new.environment = Secret(own.merging(new.environment.reveal()) { _, given in given })
        if let logins = try await storedLogins(workspace), new.gitCredentials.reveal().isEmpty, new.ssh == nil {
            new.gitCredentials = Secret(logins.gitCredentials)
            new.ssh = logins.ssh.map { Secret($0) }
        }
    }

    private func parent(_ body: CreateWorkspace, by principal: Principal) async throws -> WorkspaceRecord? {
        guard let from = body.from else { return nil }
        let parent = try await workspaces.find(
            from,
            organization: principal.organizationID,
            user: principal.userID,
            visibleTo: principal.visibleUser
        )
        guard parent.state == .ready else {
            throw BerthError(
                .illegalTransition,
                "the workspace '\(parent.name)' is \(parent.state.rawValue)",
                field: "from",
                remedy: "only one that is READY can be begun with"
            )
        }
        return parent
    }

    private func checkout(_ body: CreateWorkspace, _ parent: WorkspaceRecord?, _ issue: IssueURL?) async throws
        -> CreateExecution.Checkout
    {
        if let path = body.path {
            guard path.hasPrefix("/"), body.repository?.upload == nil, parent == nil else {
                throw BerthError(
                    .invalidPath,
                    "'\(path.prefix(200))' is no absolute path of a working tree alone",
                    field: "path",
                    remedy: "give the path, and neither an upload nor another workspace"
                )
            }
            return CreateExecution.Checkout(url: body.repository?.url ?? path, branch: body.repository?.branch)
        }
        var checkout = body.repository ?? CreateExecution.Checkout(url: "")
        if checkout.url.isEmpty, let parent { checkout.url = try await repositoryURL(of: parent) ?? "" }
        if checkout.url.isEmpty, let issue { checkout.url = issue.repositoryURL }
        guard !checkout.url.isEmpty else {
            throw BerthError(
                .missingField,
                "there is nothing to check out",
                field: "repository",
                remedy: "give a repository, an issue, another workspace, or a path"
            )
        }
        return checkout
    }

    private static func check(_ body: CreateWorkspace, _ parent: WorkspaceRecord?, _ environment: EnvironmentRecord)
        throws(BerthError)
    {
        if let parent, parent.environmentID != environment.id {
            throw BerthError(
                .unsupported,
                "the workspace '\(parent.name)' is in another environment",
                field: "environment",
                remedy: "leave the environment out, or push its branch and begin with that: --base \(parent.branch)"
            )
        }
        if body.path != nil, environment.spec.provider != .host {
            throw BerthError(
                .unsupported,
                "a working tree of the server's machine cannot be seen in '\(environment.name)'",
                field: "path",
                remedy: "name an environment with provider host, or let its state be copied"
            )
        }
    }

    /// The last part of a branch's name, as words.
    private static func words(of branch: String) -> String {
        branch.split(separator: "/").last.map(String.init) ?? branch
    }

    private func logins(_ body: CreateWorkspace, _ parent: WorkspaceRecord?) async throws -> Secret<[UInt8]>? {
        guard body.gitCredentials?.isEmpty == false || body.ssh != nil else {
            guard let parent else { return nil }
            return try await workspaces.credentials(of: parent.id, organization: parent.organizationID)
        }
        let logins = RemoteLogins(
            gitCredentials: (body.gitCredentials ?? []).map { ServerMessage.GitCredential($0) },
            ssh: body.ssh.map { ServerMessage.SSHCredential($0) }
        )
        return Secret(Array(try JSONText.encode(logins)))
    }

    /// Opened for one operation.
    func storedLogins(_ workspace: WorkspaceRecord) async throws -> RemoteLogins? {
        guard workspace.hasCredentials,
            let stored = try await workspaces.credentials(of: workspace.id, organization: workspace.organizationID)
        else { return nil }
        return try JSONText.decode(RemoteLogins.self, from: stored.reveal())
    }
}
