internal import Base
internal import Glibc
internal import Subprocess
public import WorkspaceTypes

/// git in the checkout of a workspace, as the environment's user: what is there, and what a person changes.
public struct WorkspaceGit: Sendable {
    let git: Git
    /// Absolute.
    public let path: String

    private static let listed = 5000

    public init(git: Git, path: String) {
        self.git = git
        self.path = path
    }

    // MARK: Questions

    public func status() async throws -> GitStatus {
        let result = try await run([
            "status", "--porcelain=v2", "-z", "--branch", "--show-stash", "--untracked-files=all",
        ])
        var status = GitOutput.status(result.output, limit: Self.listed)
        status.operation = try await operation()
        return status
    }

    /// What is under way, from the files that git keeps about it.
    private func operation() async throws -> String? {
        let names = [
            ("MERGE_HEAD", "merge"), ("rebase-merge", "rebase"), ("rebase-apply", "rebase"),
            ("CHERRY_PICK_HEAD", "cherry-pick"), ("REVERT_HEAD", "revert"), ("BISECT_LOG", "bisect"),
        ]
        let result = try await run(["rev-parse"] + names.flatMap { ["--git-path", $0.0] })
        let paths = result.outputText.split(separator: "\n").map { $0.hasPrefix("/") ? String($0) : "\(path)/\($0)" }
        return zip(paths, names).first { access($0.0, F_OK) == 0 }?.1.1
    }

    public func log(_ reference: String?, path file: String?, skip: Int, limit: Int) async throws -> GitLog {
        if let reference { try Self.check(reference: reference) }
        if reference == nil, try await head() == nil { return GitLog(items: [], isTruncated: false) }
        let result = try await run(
            ["log", "-z", "--format=\(GitOutput.logFormat)", "--max-count=\(limit + 1)", "--skip=\(skip)"]
                + [reference ?? "HEAD", "--"] + (file.map { [$0] } ?? [])
        )
        let commits = GitOutput.commits(result.output)
        return GitLog(items: Array(commits.prefix(limit)), isTruncated: commits.count > limit)
    }

    public func branches() async throws -> GitBranches {
        let result = try await run([
            "for-each-ref", "--sort=-committerdate", "--format=\(GitOutput.branchFormat)", "refs/heads", "refs/remotes",
        ])
        return GitBranches(items: GitOutput.branches(result.output, checkout: path))
    }

    /// nil before the first commit.
    func head() async throws -> String? {
        let result = try await attempt(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
        return result.succeeded ? result.outputText.trimmed : nil
    }

    func commit(_ reference: String) async throws -> String? {
        let result = try await attempt([
            "rev-parse", "--verify", "--quiet", "--end-of-options", "\(reference)^{commit}",
        ])
        return result.succeeded ? result.outputText.trimmed : nil
    }

    // MARK: Calls

    /// Paths mean themselves, not patterns.
    func attempt(
        _ arguments: [String],
        runsHooks: Bool = false,
        deadline: Duration = .seconds(60),
        outputLimit: Int = 16 << 20
    ) async throws -> ProcessResult {
        do {
            return try await git.asAgent(
                ["--literal-pathspecs"] + arguments,
                in: path,
                runsHooks: runsHooks,
                deadline: deadline,
                outputLimit: outputLimit
            )
        } catch let error as BerthError where error.code == .directoryUnusable {
            throw BerthError(
                .notFound,
                "the workspace has no checkout in its environment",
                field: "workspaceId",
                remedy: "see 'berth ws show'; its first run makes it"
            )
        }
    }

    @discardableResult
    func run(_ arguments: [String], runsHooks: Bool = false, deadline: Duration = .seconds(60)) async throws
        -> ProcessResult
    {
        let result = try await attempt(arguments, runsHooks: runsHooks, deadline: deadline)
        guard result.succeeded else { throw Self.failure(result, what: arguments[0]) }
        return result
    }

    static func check(reference: String) throws(BerthError) {
        guard !reference.isEmpty, !reference.hasPrefix("-"), !reference.utf8.contains(where: { $0 <= 0x20 }) else {
            throw BerthError(
                .invalidValue,
                "'\(reference.prefix(120))' is no branch, tag or commit",
                field: "reference"
            )
        }
    }

    /// What git's own words mean; it runs with `LC_ALL=C`.
    static func failure(_ result: ProcessResult, what: String) -> BerthError {
        let text = result.errorText + "\n" + result.outputText.suffix(4000)
        let line = GitFailure.lastLine(result.errorText)
        let detail = String(text.suffix(4000))
        func says(_ phrases: String...) -> Bool { phrases.contains { text.contains($0) } }
        if says("No space left on device") {
            return BerthError(
                .diskFull,
                "the environment's disk is full",
                remedy: "free space in the environment or give it a larger disk; nothing is lost",
                detail: detail
            )
        }
        if says("not a git repository") {
            return BerthError(.unsupported, "the workspace has no git repository", field: "workspaceId", detail: detail)
        }
        if says("index.lock", "cannot lock ref", ".lock': File exists") {
            return BerthError(
                .conflict,
                "another git command works in this checkout",
                remedy: "wait for it; where none runs, remove the .lock file that it left in .git",
                detail: detail,
                isRetryable: true
            )
        }
        if says("already checked out at", "already used by worktree at") {
            let place = text.components(between: "at '", and: "'") ?? "another place"
            return BerthError(
                .conflict,
                "the branch is checked out elsewhere, at \(place)",
                field: "branch",
                remedy: "work there, or make a branch of another name here",
                detail: detail
            )
        }
        if says("would be overwritten") {
            let files = GitOutput.listedFiles(text)
            return BerthError(
                .conflict,
                "what is not committed stands in the way: \(files.prefix(10).joined(separator: ", "))",
                remedy: "commit it ('berth git commit --all') or move it away; nothing was changed",
                detail: detail
            )
        }
        if says("a branch named") && says("already exists") {
            return BerthError(.conflict, "there is a branch of this name already", field: "branch", detail: detail)
        }
        if says("invalid reference", "unknown revision", "bad revision", "Not a valid object name", "not a commit") {
            return BerthError(.reference, "there is no such branch, tag or commit: \(line)", detail: detail)
        }
        if says("did not match any file") {
            return BerthError(
                .notFound,
                "a path names nothing that git could take: \(line)",
                field: "paths",
                detail: detail
            )
        }
        if says("Please tell me who you are", "unable to auto-detect email", "empty ident name") {
            return BerthError(
                .conflict,
                "git does not know who commits",
                remedy: "set user.name and user.email in the environment: git config --global …",
                detail: detail
            )
        }
        return BerthError(.conflict, "git \(what) failed: \(line)", detail: detail)
    }
}

extension String {
    fileprivate func components(between start: String, and end: String) -> String? {
        guard let from = firstRange(of: start) else { return nil }
        let rest = self[from.upperBound...]
        guard let to = rest.firstRange(of: end) else { return nil }
        return String(rest[..<to.lowerBound])
    }
}
