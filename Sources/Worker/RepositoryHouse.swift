internal import Base
internal import BerthCore
internal import Domain
internal import WorkerProtocol
internal import WorkspaceCalls
internal import WorkspaceTypes

/// git in workspaces, for people. Whoever comes to a checkout at the same time is told by git's own locks.
struct RepositoryHouse: Sendable {
    let services: Services

    init(_ services: Services) { self.services = services }

    private func git(in directory: String) throws(BerthError) -> WorkspaceGit {
        WorkspaceGit(git: services.git, path: try services.layout.path(ofWorkspace: directory))
    }

    func status(_ call: GitStatusCall) async throws -> GitStatus { try await git(in: call.directory).status() }

    func diff(_ call: GitDiffCall) async throws -> GitDiff {
        try await git(in: call.directory).diff(
            call.scope.rawValue,
            against: call.base,
            path: call.path,
            patchBytes: call.maximumPatchBytes
        )
    }

    func log(_ call: GitLogCall) async throws -> GitLog {
        try await git(in: call.directory).log(call.reference, path: call.path, skip: call.skip, limit: call.limit)
    }

    func commit(_ call: GitCommitCall) async throws -> GitCommit {
        try await git(in: call.directory).commit(
            call.message,
            includesAll: call.includesAll,
            paths: call.paths,
            amends: call.amends,
            runsHooks: call.runsHooks
        )
    }

    func branches(_ call: GitBranchListCall) async throws -> GitBranches {
        try await git(in: call.directory).branches()
    }

    func change(_ call: GitSwitchCall) async throws -> GitStatus {
        try await git(in: call.directory).change(
            to: call.branch,
            creates: call.creates,
            checksOut: call.checksOut,
            start: call.start
        )
    }

    func push(_ call: GitPushCall) async throws -> GitPush {
        let git = try git(in: call.directory)
        return try await withMirror(of: call.remote, call.directory) { try await git.push(to: $0, as: call.branch) }
    }

    func pull(_ call: GitPullCall) async throws -> GitPull {
        let git = try git(in: call.directory)
        return try await withMirror(of: call.remote, call.directory) {
            try await git.pull(from: $0, branch: call.branch, keepsConflicts: call.keepsConflicts)
        }
    }

    private func withMirror<Value: Sendable>(
        of remote: GitRemoteAccess,
        _ directory: String,
        _ body: (Mirror) async throws -> Value
    ) async throws -> Value {
        let work = WorkspaceWork(
            services: services,
            remote: RemoteSecrets(
                logins: remote.credentials.map {
                    GitLogin(scheme: $0.scheme, host: $0.host, username: $0.username, password: Secret($0.password))
                },
                ssh: remote.ssh.map {
                    SSHIdentity(privateKey: $0.privateKey.map { Secret($0) }, knownHosts: $0.knownHosts)
                }
            )
        )
        return try await work.withMirror(remote.url, body)
    }
}
