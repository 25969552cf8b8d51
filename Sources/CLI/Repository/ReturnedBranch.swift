import Base

/// Brings a task's branch into the caller's repository, without touching the branch or the files that are checked out.
struct ReturnedBranch: Sendable, Equatable {
    /// What the branch is called here now.
    var name: String
    /// Why it is not called what the task called it; nil when it is.
    var reason: String?
    /// It was here already, with these very commits.
    var isKnown: Bool

    /// - Parameters:
    ///   - bundle: a file with `refs/heads/<branch>`.
    ///   - branch: as the task called it.
    static func take(_ bundle: String, branch: String, into repository: LocalRepository) throws(BerthError)
        -> ReturnedBranch
    {
        let heads = try repository.git("bundle", "list-heads", bundle, "refs/heads/\(branch)")
        guard heads.succeeded, let commit = heads.text.split(separator: " ").first.map(String.init) else {
            throw BerthError(.protocolViolation, "the bundle has no branch '\(branch)'", detail: heads.complaint)
        }
        // The objects first: whether the branch may move can only be said of commits that are here.
        let fetched = try repository.git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", bundle, commit)
        if !fetched.succeeded {
            let byName = try repository.git(
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                bundle,
                "refs/heads/\(branch)"
            )
            guard byName.succeeded else { throw refused(byName, repository) }
        }
        let used = try repository.git("worktree", "list", "--porcelain").text.split(separator: "\n")
            .filter { $0.hasPrefix("branch refs/heads/") }.map { String($0.dropFirst("branch refs/heads/".count)) }
        var reason: String?
        // A branch 'a' leaves no room for 'a/b', whatever follows; 'a-b' has room.
        let names = (1...100).map { $0 == 1 ? branch : "\(branch)-\($0)" }
        let flat = names.map { String($0.map { $0 == "/" ? "-" : $0 }) }
        for name in branch.contains("/") ? names + flat : names {
            let reference = "refs/heads/\(name)"
            let here = try repository.git("rev-parse", "--verify", "--quiet", reference)
            if here.succeeded, here.text == commit { return Self(name: name, reason: reason, isKnown: true) }
            if here.succeeded {
                let isBehind = try repository.git("merge-base", "--is-ancestor", here.text, commit).succeeded
                if isBehind, used.contains(name) {
                    reason = reason ?? "'\(name)' is checked out here"
                    continue
                }
                if !isBehind {
                    reason = reason ?? "'\(name)' is here already, with other commits"
                    continue
                }
            }
            // Fenced: fails when somebody else made or moved the branch meanwhile.
            let old = here.succeeded ? here.text : String(repeating: "0", count: commit.utf8.count)
            let update = try repository.git("update-ref", "-m", "berth: fetch", reference, commit, old)
            if update.succeeded { return Self(name: name, reason: reason, isKnown: false) }
            reason = reason ?? "another branch leaves no room for '\(name)'"
        }
        throw BerthError(.conflict, "no free name was found for '\(branch)'", remedy: "remove branches of that name")
    }

    private static func refused(_ result: GitCommand, _ repository: LocalRepository) -> BerthError {
        if result.errors.contains("lacks these prerequisite") || result.errors.contains("prerequisite") {
            return BerthError(
                .conflict,
                "\(repository.path) lacks commits that the task began from",
                remedy: "bring it up to date ('git fetch'), then fetch the branch again",
                detail: result.errors
            )
        }
        return BerthError(.unavailable, "git cannot take the branch in: \(result.complaint)", detail: result.errors)
    }
}
