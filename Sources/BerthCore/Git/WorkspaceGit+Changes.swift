internal import Base
public import WorkspaceTypes

extension WorkspaceGit {
    // MARK: Differences

    private static let listedFiles = 5000

    /// - Parameters:
    ///   - scope: `unstaged`, `staged`, `head` or `base`, as git-diff(1) has them.
    ///   - reference: for `base`: what the branch came from; nil: the remote's default branch.
    ///   - patchBytes: of all patches; 0: none.
    public func diff(_ scope: String, against reference: String?, path file: String?, patchBytes: Int) async throws
        -> GitDiff
    {
        if let reference { try Self.check(reference: reference) }
        var arguments: [String] = []
        var base: String?
        switch scope {
        case "staged": arguments = ["--cached"]
        case "head": arguments = [try await head() ?? Self.emptyTree]
        case "base":
            base = try await mergeBase(reference)
            arguments = [base ?? Self.emptyTree]
        default: break
        }
        let common = ["--no-color", "--no-ext-diff", "--find-renames", "--diff-filter=ACDMRT"]
        let behind = arguments + ["--"] + (file.map { [$0] } ?? [])
        let listing = try await run(["diff", "--raw", "--numstat", "-z"] + common + behind)
        var files = GitOutput.files(listing.output)
        var isTruncated = files.count > Self.listedFiles
        files = Array(files.prefix(Self.listedFiles))
        if patchBytes > 0, !isTruncated {
            isTruncated = try await !addPatches(to: &files, common + behind, limit: patchBytes)
        }
        return GitDiff(base: base, files: files, isTruncated: isTruncated)
    }

    /// Against an empty repository everything is new.
    private static let emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

    /// - Returns: whether every file has its patch.
    private func addPatches(to files: inout [GitDiff.File], _ arguments: [String], limit: Int) async throws -> Bool {
        let result: ProcessResult
        do {
            // Lines that are very long, or many, cost the limit only once.
            result = try await attempt(["diff", "--patch", "--no-textconv"] + arguments, outputLimit: limit)
        } catch let error as BerthError where error.code == .tooLarge {
            return false
        }
        guard result.succeeded else { throw Self.failure(result, what: "diff") }
        let patches = GitOutput.patches(result.output)
        // Changed between the two calls: the list is right, the patches belong to another.
        guard patches.count == files.count else { return false }
        for (index, patch) in patches.enumerated() { files[index].patch = patch }
        return true
    }

    private func mergeBase(_ reference: String?) async throws -> String? {
        guard let head = try await head() else { return nil }
        let candidates =
            reference.map { ["refs/remotes/origin/\($0)", $0] }
            ?? ["refs/remotes/origin/HEAD", "refs/remotes/origin/main", "refs/remotes/origin/master"]
        for candidate in candidates {
            guard let commit = try await commit(candidate) else { continue }
            let base = try await attempt(["merge-base", head, commit])
            return base.succeeded ? base.outputText.trimmed : nil
        }
        throw BerthError(
            .reference,
            reference.map { "there is no branch, tag or commit '\($0.prefix(120))'" }
                ?? "the remote's default branch is not known here",
            field: "base",
            remedy: "name the branch that this one came from"
        )
    }

    // MARK: Commits

    public func commit(
        _ message: String,
        includesAll: Bool,
        paths: [String],
        amends: Bool,
        runsHooks: Bool
    ) async throws -> GitCommit {
        let conflicts = try await status().conflicts
        if !conflicts.isEmpty, !includesAll {
            throw BerthError(
                .conflict,
                "files are still in conflict: \(conflicts.prefix(10).joined(separator: ", "))",
                remedy: "resolve them and stage them ('git add'), or give up the merge ('git merge --abort')"
            )
        }
        if includesAll { try await run(["add", "--all"], deadline: .seconds(600)) }
        // New files among them are not known to git yet.
        if !paths.isEmpty { try await run(["add", "--"] + paths, deadline: .seconds(600)) }
        var arguments = ["commit", "--quiet", "-m", message]
        if amends { arguments.append("--amend") }
        if !runsHooks { arguments.append("--no-verify") }
        if !paths.isEmpty { arguments += ["--only", "--"] + paths }
        let result = try await attempt(arguments, runsHooks: runsHooks, deadline: .seconds(600))
        guard result.succeeded else {
            let said = result.outputText + result.errorText
            if ["nothing to commit", "no changes added", "nothing added to commit"].contains(where: said.contains) {
                throw BerthError(
                    .conflict,
                    "there is nothing to commit",
                    remedy: "stage something ('git add'), name paths, or commit all changes ('--all')"
                )
            }
            throw Self.failure(result, what: "commit")
        }
        let log = try await log(nil, path: nil, skip: 0, limit: 1)
        guard let commit = log.items.first else { throw Self.failure(result, what: "commit") }
        return commit
    }

    // MARK: Branches

    public func change(to branch: String, creates: Bool, checksOut: Bool, start: String?) async throws -> GitStatus {
        if let start { try Self.check(reference: start) }
        let from = start.map { [$0] } ?? []
        switch (creates, checksOut) {
        case (true, true): try await run(["switch", "--quiet", "--create", branch] + from)
        case (true, false): try await run(["branch", "--quiet", branch] + from)
        default: try await run(["switch", "--quiet", branch])
        }
        return try await status()
    }
}
