import Base
import Domain
import Server

/// Brings a person's own checkout forward, with their own git.
struct LocalSync: Sendable {
    let repository: LocalRepository

    init(_ repository: LocalRepository) { self.repository = repository }

    func run() throws -> SyncReport {
        guard !repository.isBare else {
            throw BerthError(.invalidPath, "\(repository.path) has no working tree", field: "PATH")
        }
        let branch = try repository.git("symbolic-ref", "--quiet", "--short", "HEAD")
        let head = try commit("HEAD")
        guard branch.succeeded else {
            return SyncReport(
                .elsewhere,
                message: "no branch is checked out",
                remedy: "check one out: git switch NAME",
                headCommit: head
            )
        }
        let name = try repository.git("config", "--get", "branch.\(branch.text).remote")
        let remote = name.succeeded ? name.text : "origin"
        guard try repository.git("config", "--get", "remote.\(remote).url").succeeded else {
            return SyncReport(.unpublished, message: "there is no remote", remedy: "add one: git remote add origin URL")
        }
        let fetched = try repository.git("fetch", "--quiet", remote)
        guard fetched.succeeded else { return Self.failure(fetched) }
        let tracked = try repository.git("rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}")
        let upstream = tracked.succeeded ? tracked.text : "\(remote)/\(branch.text)"
        let target = try commit("refs/remotes/\(upstream)")
        var counts = [0, 0]
        if let head, let target {
            let text = try repository.git("rev-list", "--left-right", "--count", "\(head)...\(target)", "--").text
            counts = text.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        }
        let plan = SyncPlan(
            branch: branch.text,
            current: branch.text,
            operation: try operation(),
            head: head,
            remote: target,
            ahead: counts.first ?? 0,
            behind: counts.last ?? 0
        )
        switch plan {
        case .report(let report): return report
        case .fastForward(let behind): return try forward(to: target ?? "", behind: behind, from: head)
        }
    }

    private func forward(to target: String, behind: Int, from head: String?) throws -> SyncReport {
        let status = try repository.git("status", "--porcelain", "--untracked-files=no")
        let merge = status.text.isEmpty ? try repository.git("merge", "--ff-only", "--quiet", target) : nil
        if let merge, merge.succeeded {
            return SyncReport(.current, headCommit: target, remoteCommit: target, ahead: 0, behind: 0, taken: behind)
        }
        return SyncReport(
            .dirty,
            message: "the remote has \(behind) new commits, and "
                + (merge.map { "files are in the way: \($0.complaint)" } ?? "files are changed here"),
            remedy: "commit or stash what is changed, then run this again",
            headCommit: head,
            remoteCommit: target,
            ahead: 0,
            behind: behind
        )
    }

    private func commit(_ name: String) throws -> String? {
        let result = try repository.git("rev-parse", "--verify", "--quiet", "\(name)^{commit}")
        return result.succeeded ? result.text : nil
    }

    private func operation() throws -> String? {
        let marks = [
            ("MERGE_HEAD", "merge"), ("rebase-merge", "rebase"), ("rebase-apply", "rebase"),
            ("CHERRY_PICK_HEAD", "cherry-pick"), ("REVERT_HEAD", "revert"),
        ]
        for (mark, name) in marks {
            let path = try repository.git("rev-parse", "--path-format=absolute", "--git-path", mark).text
            if Files.exists(path) { return name }
        }
        return nil
    }

    private static func failure(_ fetched: GitCommand) -> SyncReport {
        let words = ["Authentication failed", "Permission denied", "could not read Username", "403", "401"]
        if words.contains(where: { fetched.errors.contains($0) }) {
            return SyncReport(
                .noAccess,
                message: "the remote refuses: \(fetched.complaint)",
                remedy: "log in, for example with 'gh auth login', then run this again"
            )
        }
        return SyncReport(
            .unreachable,
            message: "the remote cannot be asked: \(fetched.complaint)",
            remedy: "try again later"
        )
    }
}
