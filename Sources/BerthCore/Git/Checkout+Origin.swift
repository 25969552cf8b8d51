import Base
import Domain
internal import Glibc

// Checkouts that begin with more than a remote has.
extension CheckoutMaker {
    /// A working tree of this machine, used where it lies: nothing in it is changed.
    func adopt(_ request: WorkspaceRequest) async throws -> Checkout {
        let path = request.directory
        guard allowsInPlace else {
            throw BerthError(
                .unsupported,
                "\(path) cannot be seen from this environment",
                field: "path",
                remedy: "adopt it in an environment with provider host, or let its state be copied"
            )
        }
        guard access(path, F_OK) == 0 else {
            throw BerthError(.notFound, "there is no \(path) on the server's machine", field: "path")
        }
        let top = try await git.asAgent(["rev-parse", "--show-toplevel"], in: path)
        guard top.succeeded, top.outputText.trimmed == path else {
            throw BerthError(
                .invalidPath,
                top.succeeded
                    ? "\(path) lies within the working tree \(top.outputText.trimmed)"
                    : "\(path) is no working tree of git: \(GitFailure.lastLine(top.errorText))",
                field: "path",
                remedy: "give the top of one; 'git rev-parse --show-toplevel' prints it"
            )
        }
        let branch = try await git.asAgent(["symbolic-ref", "--quiet", "--short", "HEAD"], in: path)
        let head = try await git.asAgent(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], in: path)
        var checkout = Checkout(
            path: path,
            branch: branch.succeeded ? branch.outputText.trimmed : request.branch,
            baseCommit: head.succeeded ? head.outputText.trimmed : nil
        )
        if checkout.branch != request.branch {
            checkout.warnings.append("the branch '\(checkout.branch)' is checked out, not '\(request.branch)'")
        }
        return checkout
    }

    /// The commit that another workspace of this environment stands on, brought into `mirror`.
    func commit(of parent: String, into mirror: Mirror) async throws -> String {
        let path = path(of: parent)
        guard access(path + "/.git", F_OK) == 0 else {
            throw BerthError(
                .notFound,
                "the workspace to begin with has no checkout in this environment",
                field: "from",
                remedy: "retry or unarchive it first, or give a branch with --base"
            )
        }
        let head = try await git.asAgent(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], in: path)
        guard head.succeeded else {
            throw BerthError(.repositoryEmpty, "the workspace to begin with has no commit yet", field: "from")
        }
        let commit = head.outputText.trimmed
        try await mirror.take(commit, of: path)
        return commit
    }

    /// A checkout whose content Berth holds itself: kept when it was archived, or uploaded with its state. nil: neither.
    func restored(_ request: WorkspaceRequest, path: String, from mirror: Mirror) async throws -> Checkout? {
        if let state = request.setup?.state { return try await adopted(state, request, path: path, from: mirror) }
        let kept = try await mirror.keptReferences(request.workspaceID)
        let prefix = Mirror.kept(request.workspaceID)
        let heads = "\(prefix)heads/"
        guard
            let commit = kept.first(where: { $0.name == heads + request.branch })?.commit
                ?? kept.first(where: { $0.name == prefix + "HEAD" })?.commit
        else { return nil }
        try await clone(
            request,
            path: path,
            from: mirror,
            commit: commit,
            more: [(Self.fetch(mirror, "+\(heads)*:refs/heads/*"), "bring the branches back")]
        )
        let stashes = kept.filter { $0.name.hasPrefix("\(prefix)stash/") }
            .sorted { Self.number($0.name) < Self.number($1.name) }
        try await stash(stashes.map(\.commit), in: path)
        return Checkout(path: path, branch: request.branch, baseCommit: commit, mirrorPath: mirror.path)
    }

    private static func number(_ name: String) -> Int { Int(name.split(separator: "/").last ?? "") ?? 0 }

    private static func fetch(_ mirror: Mirror, _ reference: String) -> [String] {
        ["fetch", "--quiet", "--no-write-fetch-head", "--update-head-ok", "--force", mirror.path, reference]
    }

    /// Files, index, branches and stashes as they were on the caller's machine.
    private func adopted(
        _ state: WorkspaceSetup.AdoptedState,
        _ request: WorkspaceRequest,
        path: String,
        from mirror: Mirror
    ) async throws -> Checkout {
        try await mirror.update()
        for commit in [state.head] + state.commits where try await mirror.hasCommit(commit) != commit {
            throw BerthError(
                .invalidValue,
                "the upload does not hold \(commit.prefix(80))",
                field: "state",
                remedy: "adopt the working tree again"
            )
        }
        let heads = mirror.url.transport == .bundle ? "refs/heads/" : Mirror.uploadedHeads
        // Complete before it has its name: the state is laid into the part as well.
        try await clone(
            request,
            path: path,
            from: mirror,
            commit: state.head,
            more: [(Self.fetch(mirror, "+\(heads)*:refs/heads/*"), "copy the branches")],
            last: [
                (["read-tree", "--reset", "-u", "\(state.files)^{tree}"], "lay out the files"),
                (["read-tree", "\(state.index)^{tree}"], "restore the index"),
            ]
        )
        // Says only whether files differ from the index.
        _ = try await git.asAgent(["update-index", "-q", "--refresh"], in: path)
        try await stash(state.stashes, in: path)
        return Checkout(path: path, branch: request.branch, baseCommit: state.head, mirrorPath: mirror.path)
    }

    /// - Parameter commits: newest first.
    private func stash(_ commits: [String], in path: String) async throws {
        for commit in commits.reversed() {
            let subject = try await git.asAgent(["log", "-1", "--format=%s", commit, "--"], in: path)
            _ = try await git.asAgent(
                ["stash", "store", "--quiet", "-m", subject.outputText.trimmed, commit],
                in: path
            )
            .checked("bring a stash back")
        }
    }
}
