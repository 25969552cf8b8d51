import Base
public import Domain

extension CheckoutMaker {
    /// How many commits and changed files a report lists at most.
    private static let listed = 1000

    /// What the agent left. With `commitLeftovers` what is not committed is, on the task's branch.
    public func result(of checkout: Checkout, commitLeftovers: Bool, task: String) async throws -> WorkspaceOutcome {
        var warnings = checkout.warnings
        if commitLeftovers {
            if let problem = try await commitLeftOver(in: checkout.path, task: task) { warnings.append(problem) }
        }
        let head = try await git.asAgent(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], in: checkout.path)
        let branch = try await git.asAgent(["symbolic-ref", "--quiet", "--short", "HEAD"], in: checkout.path)
        let name = branch.outputText.trimmed
        if branch.succeeded, name != checkout.branch {
            warnings.append("the agent left the branch '\(checkout.branch)' for '\(name)'")
        }
        guard head.succeeded else {
            return WorkspaceOutcome(
                branch: checkout.branch,
                baseCommit: checkout.baseCommit,
                headCommit: nil,
                warnings: warnings
            )
        }
        let headCommit = head.outputText.trimmed
        let commits = try await commits(in: checkout, head: headCommit)
        let files = try await files(in: checkout, head: headCommit)
        if commits.count > Self.listed || files.count > Self.listed {
            warnings.append("\(commits.count) commits and \(files.count) files; the first \(Self.listed) are listed")
        }
        return WorkspaceOutcome(
            branch: checkout.branch,
            baseCommit: checkout.baseCommit,
            headCommit: headCommit,
            commits: Array(commits.prefix(Self.listed)),
            files: Array(files.prefix(Self.listed)),
            warnings: warnings
        )
    }

    /// nil when nothing was left or it is committed now; otherwise why it could not be.
    func commitLeftOver(in path: String, task: String) async throws -> String? {
        let status = try await git.asAgent(["status", "--porcelain", "-z"], in: path).checked("read the status")
        guard !status.output.isEmpty else { return nil }
        let added = try await git.asAgent(["add", "--all"], in: path, deadline: .seconds(600))
        guard added.succeeded else {
            return "what the agent left uncommitted could not be added: \(GitFailure.lastLine(added.errorText))"
        }
        let staged = try await git.asAgent(["diff", "--cached", "--quiet"], in: path)
        guard !staged.succeeded else { return nil }
        let subject = task.split(whereSeparator: \.isNewline).first.map { String($0.prefix(72)) } ?? "Changes"
        let commit = try await git.asAgent(
            ["commit", "--quiet", "--no-verify", "--no-gpg-sign", "-m", subject],
            in: path,
            deadline: .seconds(600)
        )
        guard commit.succeeded else {
            return "what the agent left uncommitted could not be committed: \(GitFailure.lastLine(commit.errorText))"
        }
        return nil
    }

    private func commits(in checkout: Checkout, head: String) async throws -> [WorkspaceOutcome.Commit] {
        let range = checkout.baseCommit.map { ["\($0)..\(head)"] } ?? [head]
        let log = try await git.asAgent(
            ["log", "--reverse", "-z", "--format=%H %s", "--max-count=\(Self.listed + 1)"] + range + ["--"],
            in: checkout.path
        )
        .checked("list the commits")
        return log.output.split(separator: 0).map { line in
            let text = String(decoding: line, as: UTF8.self)
            return .init(id: String(text.prefix { $0 != " " }), subject: String(text.drop { $0 != " " }.dropFirst()))
        }
    }

    /// Against an empty repository everything is new: the empty tree stands for the base.
    private func files(in checkout: Checkout, head: String) async throws -> [WorkspaceOutcome.FileChange] {
        let emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        let diff = try await git.asAgent(
            ["diff", "--numstat", "-z", "--no-renames", "--no-ext-diff", checkout.baseCommit ?? emptyTree, head, "--"],
            in: checkout.path
        )
        .checked("compare with the base")
        return diff.output.split(separator: 0).compactMap { entry in
            let parts = String(decoding: entry, as: UTF8.self).split(separator: "\t", maxSplits: 2)
            guard parts.count == 3 else { return nil }
            return .init(path: String(parts[2]), additions: Int(parts[0]), deletions: Int(parts[1]))
        }
    }
}
