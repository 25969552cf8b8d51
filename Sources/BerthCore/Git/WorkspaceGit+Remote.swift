internal import AgentProtocol
internal import Base
public import WorkspaceTypes

/// What leaves the checkout and what comes into it, by way of a mirror: nothing that the environment's user has configured
/// sees a credential.
extension WorkspaceGit {
    /// Pushes what is checked out.
    /// - Parameter branch: its name at the remote; nil: as here.
    public func push(to mirror: Mirror, as branch: String?) async throws -> GitPush {
        guard let head = try await head() else {
            throw BerthError(.conflict, "there is no commit yet", remedy: "commit something: 'berth git commit'")
        }
        let current = try await attempt(["symbolic-ref", "--quiet", "--short", "HEAD"])
        guard let name = branch ?? (current.succeeded ? current.outputText.trimmed : nil) else {
            throw BerthError(
                .conflict,
                "no branch is checked out",
                field: "branch",
                remedy: "name the remote's branch, or make one here: 'berth git switch --create NAME'"
            )
        }
        try await git.turns.with(mirror.path) { try await mirror.create() }
        do {
            try await mirror.push(head, of: path, as: name)
        } catch var error as BerthError where error.code == .pushRejected {
            if error.message.contains("fetch first") || error.message.contains("non-fast-forward") {
                error.remedy = "the remote has commits that are not here: 'berth git pull', then push again"
            }
            throw error
        }
        // As git's own push leaves it.
        try await run(["update-ref", "refs/remotes/origin/\(name)", head])
        if current.succeeded, branch == nil || branch == current.outputText.trimmed {
            _ = try await attempt(["branch", "--quiet", "--set-upstream-to=origin/\(name)"])
        }
        return GitPush(branch: name, commit: head)
    }

    /// Brings the remote's branch here: forward where that is all, else by a merge, which is tried first where it touches
    /// nothing.
    public func pull(from mirror: Mirror, branch: String?, keepsConflicts: Bool) async throws -> GitPull {
        let before = try await status()
        if let operation = before.operation {
            throw BerthError(
                .conflict,
                "a \(operation) is under way in this checkout"
                    + (before.conflicts.isEmpty
                        ? "" : ", with conflicts in " + before.conflicts.joined(separator: ", ")),
                remedy: "finish it and commit, or give it up: 'git \(operation) --abort'"
            )
        }
        try await mirror.update()
        try await run(
            [
                "fetch", "--quiet", "--no-write-fetch-head", "--force", mirror.path,
                "+refs/heads/*:refs/remotes/origin/*", "refs/tags/*:refs/tags/*",
            ],
            deadline: git.configuration.transferDeadline
        )
        let followed = before.upstream.flatMap { $0.hasPrefix("origin/") ? String($0.dropFirst(7)) : nil }
        guard let name = branch ?? followed ?? before.branch else {
            throw BerthError(.conflict, "no branch is checked out", field: "branch", remedy: "name the remote's branch")
        }
        guard let remote = try await commit("refs/remotes/origin/\(name)") else {
            throw BerthError(
                .reference,
                "the remote has no branch '\(name.prefix(120))'",
                field: "branch",
                remedy: "push this one first, or name another"
            )
        }
        guard let head = before.head else {
            try await run(["merge", "--quiet", "--ff-only", remote])
            return GitPull(result: .fastForwarded, before: "", after: remote, remote: remote)
        }
        var pull = GitPull(result: .upToDate, before: head, after: head, remote: remote)
        if try await isAncestor(remote, of: head) { return pull }
        if try await isAncestor(head, of: remote) {
            try await merge(["--ff-only", remote], as: .fastForwarded, &pull)
            return pull
        }
        let conflicts = try await conflicts(head, remote)
        if !conflicts.isEmpty, !keepsConflicts {
            pull.result = .conflict
            pull.files = conflicts
            pull.remedy =
                "nothing was changed; resolve it in the checkout with 'berth git pull --keep-conflicts', or push to "
                + "another branch"
            return pull
        }
        try await merge(["--no-edit", remote], as: .merged, &pull)
        return pull
    }

    private func isAncestor(_ one: String, of other: String) async throws -> Bool {
        try await attempt(["merge-base", "--is-ancestor", one, other]).succeeded
    }

    /// Files that a merge would leave in conflict, found without touching index or files (git-merge-tree(1)).
    private func conflicts(_ ours: String, _ theirs: String) async throws -> [String] {
        let result = try await attempt([
            "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs,
        ])
        if result.succeeded { return [] }
        guard result.end == .exited(1) else {
            throw BerthError(
                .unsupported,
                "the environment's git cannot try a merge: \(GitFailure.lastLine(result.errorText))",
                remedy: "it needs git 2.38 or later; or pull with --keep-conflicts"
            )
        }
        return result.output.split(separator: 0).dropFirst().map { String(decoding: $0, as: UTF8.self) }
    }

    private func merge(_ arguments: [String], as outcome: GitPull.Result, _ pull: inout GitPull) async throws {
        let result = try await attempt(["merge", "--quiet"] + arguments, deadline: .seconds(600))
        if result.succeeded {
            pull.result = outcome
            pull.after = try await head() ?? pull.remote
            return
        }
        let unmerged = try await run(["diff", "--name-only", "--diff-filter=U", "-z"])
        let files = unmerged.output.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        if !files.isEmpty {
            pull.result = .conflict
            pull.files = files
            pull.remedy =
                "both sides are in these files: edit them and 'berth git commit --all', or give up: 'git merge --abort'"
            return
        }
        let text = result.errorText
        guard text.contains("would be overwritten") || text.contains("not uptodate") else {
            throw Self.failure(result, what: "merge")
        }
        pull.result = .dirty
        pull.files = GitOutput.listedFiles(text)
        pull.remedy = "nothing was changed; commit these ('berth git commit --all') or move them away, and pull again"
    }
}
