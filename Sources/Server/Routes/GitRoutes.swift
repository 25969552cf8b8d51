import API
import Base
import Domain
import Environments
import Relay
import Transport
import WorkerProtocol
import WorkspaceCalls
import WorkspaceTypes
import Workspaces

/// `/v1/workspaces/{workspaceId}/git`: asked of the environment's worker; the server keeps nothing of it.
extension ServerCore {
    private static let callTime = Duration.seconds(120)
    /// With a transfer in it.
    private static let remoteTime = Duration.seconds(300)
    private static let standardPatchBytes: Int64 = 1 << 20

    func workspaceGit(_ context: RequestContext) async throws -> HTTPResponse {
        let housed = try await housed(context)
        let directory = housed.workspace.directory
        switch context.route.id {
        case .gitStatus: return try await ask(housed, GitStatusCall(directory: directory))
        case .gitDiff:
            let scope = context.text("scope").flatMap { GitDiffCall.Scope(rawValue: $0) } ?? .unstaged
            let wantsPatches = context.request.queryValue("patches") == nil || context.flag("patches")
            let limit = try context.integer("maxPatchBytes", default: Self.standardPatchBytes)
            let call = GitDiffCall(
                directory: directory,
                scope: scope,
                base: context.text("base") ?? housed.workspace.baseReference,
                path: context.text("path"),
                maximumPatchBytes: wantsPatches ? Int(limit) : 0
            )
            return try await ask(housed, call)
        case .gitLog:
            let call = GitLogCall(
                directory: directory,
                reference: context.text("reference"),
                path: context.text("path"),
                skip: Int(try context.integer("skip", default: 0)),
                limit: Int(try context.integer("limit", default: 50))
            )
            return try await ask(housed, call)
        case .gitCommit: return try await commit(housed, context)
        case .gitBranchList: return try await ask(housed, GitBranchListCall(directory: directory))
        case .gitBranchCreate:
            let body: CreateBranch = try await context.body(limit: configuration.maximumBodyBytes)
            let call = GitSwitchCall(
                directory: directory,
                branch: try BranchName(body.name, field: "name").text,
                creates: true,
                checksOut: false,
                start: body.from
            )
            return try await ask(housed, call, status: 201)
        case .gitSwitch:
            let body: SwitchBranch = try await context.body(limit: configuration.maximumBodyBytes)
            let call = GitSwitchCall(
                directory: directory,
                branch: try BranchName(body.branch, field: "branch").text,
                creates: body.create ?? false,
                checksOut: true,
                start: body.from
            )
            return try await ask(housed, call)
        case .gitPush:
            let body: PushBranch = try await context.body(limit: configuration.maximumBodyBytes)
            let call = GitPushCall(
                directory: directory,
                branch: try body.branch.map { name throws(BerthError) in try BranchName(name, field: "branch").text },
                remote: try await remote(housed, body.gitCredentials, body.ssh)
            )
            return try await ask(housed, call, within: Self.remoteTime)
        case .gitPull:
            let body: PullBranch = try await context.body(limit: configuration.maximumBodyBytes)
            let call = GitPullCall(
                directory: directory,
                branch: try body.branch.map { name throws(BerthError) in try BranchName(name, field: "branch").text },
                keepsConflicts: body.keepConflicts ?? false,
                remote: try await remote(housed, body.gitCredentials, body.ssh)
            )
            return try await ask(housed, call, within: Self.remoteTime)
        default: throw BerthError(.internal, "\(context.route.id.rawValue) is no route of git")
        }
    }

    private func commit(_ housed: HousedWorkspace, _ context: RequestContext) async throws -> HTTPResponse {
        let body: CommitChanges = try await context.body(limit: configuration.maximumBodyBytes)
        guard !body.message.trimmed.isEmpty else {
            throw BerthError(
                .invalidValue,
                "the message is empty",
                field: "message",
                remedy: "say what changed and why"
            )
        }
        guard body.message.utf8.count <= 64 << 10, (body.paths ?? []).count <= 1000 else {
            throw BerthError(.tooLarge, "a message has at most 64 KiB, a commit at most 1,000 named paths")
        }
        let call = GitCommitCall(
            directory: housed.workspace.directory,
            message: body.message,
            includesAll: body.all ?? false,
            paths: body.paths ?? [],
            amends: body.amend ?? false,
            runsHooks: body.hooks ?? true
        )
        return try await ask(housed, call, within: Self.remoteTime, status: 201)
    }

    private func ask<Call: ServiceCall>(
        _ housed: HousedWorkspace,
        _ call: Call,
        within limit: Duration = callTime,
        status: Int = 200
    ) async throws -> HTTPResponse {
        let link = try await channels(of: housed)
        return try Self.json(try await link.call(call, until: time.uptime + limit), status: status)
    }

    /// How commits reach a repository of the owner's machine: a run's as a bundle, all others from there.
    private static func wayHome(_ housed: HousedWorkspace) -> String {
        let workspace = housed.workspace
        let path = workspace.directory.hasPrefix("/") ? workspace.directory : "/workspace/\(workspace.directory)"
        return "a run's branch comes back with 'berth fetch'; other commits, after 'berth config-ssh', with "
            + "'git fetch \(housed.environment.name).berth:\(path) \(workspace.branch)'"
    }

    private func remote(
        _ housed: HousedWorkspace,
        _ logins: [CreateExecution.GitLogin]?,
        _ ssh: CreateExecution.SSHLogin?
    ) async throws -> GitRemoteAccess {
        guard let id = housed.workspace.repositoryID else {
            throw BerthError(.unsupported, "the workspace has no repository", field: "workspaceId")
        }
        if let key = ssh?.privateKey { try SSHPrivateKey.validate(key, field: "ssh.privateKey") }
        let repository = try await workspaces.repository(id, organization: housed.workspace.organizationID)
        guard try !RepositoryURL(repository.url).isLocal else {
            throw BerthError(
                .unsupported,
                "\(repository.url) is on its owner's machine: nothing reaches it from here",
                field: "workspaceId",
                remedy: Self.wayHome(housed)
            )
        }
        return GitRemoteAccess(
            url: repository.url,
            credentials: (logins ?? []).map { ServerMessage.GitCredential($0) },
            ssh: ssh.map { ServerMessage.SSHCredential($0) }
        )
    }
}
