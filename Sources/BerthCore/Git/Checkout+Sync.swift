import Base
public import Domain
internal import Glibc

// Taking the remote's commits, where that moves the branch only forward and no file is in the way.
extension CheckoutMaker {
    /// Refused access and an unreachable remote are reports as well; what cannot be looked at is thrown.
    /// - Parameter mirror: of `request.repositoryURL`.
    public func sync(_ request: WorkspaceRequest, from mirror: Mirror) async throws -> SyncReport {
        try Self.validate(request)
        let path = path(of: request.directory)
        guard access(path + "/.git", F_OK) == 0 else {
            throw BerthError(
                .notFound,
                "the workspace has no checkout in this environment",
                remedy: "set it up again: berth ws retry"
            )
        }
        do {
            return try await git.turns.with(path) { try await look(request.branch, path, mirror) }
        } catch let error as BerthError {
            switch error.code {
            case .repositoryCredentials, .hostKey:
                return SyncReport(.noAccess, message: error.message, remedy: error.remedy)
            case .repositoryUnreachable, .network, .timedOut:
                return SyncReport(.unreachable, message: error.message, remedy: error.remedy)
            default: throw error
            }
        }
    }

    private func look(_ branch: String, _ path: String, _ mirror: Mirror) async throws -> SyncReport {
        let resumed = try await resume(path)
        let offer = try await mirror.offer()
        let remote = offer.references["refs/heads/\(branch)"]
        let head = try await commit("HEAD", in: path)
        var (ahead, behind) = (0, 0)
        if let remote, remote != head {
            try await mirror.update()
            _ = try await git.asAgent(
                [
                    "fetch", "--quiet", "--no-write-fetch-head", "--force", mirror.path,
                    "+refs/heads/*:refs/remotes/origin/*",
                ],
                in: path,
                usingOwnConfiguration: true,
                deadline: git.configuration.transferDeadline
            )
            .checked("take over what is new")
            (ahead, behind) = try await distance(head, remote, in: path)
        }
        let current = try await git.asAgent(["symbolic-ref", "--quiet", "--short", "HEAD"], in: path)
        let plan = SyncPlan(
            branch: branch,
            current: current.succeeded ? current.outputText.trimmed : nil,
            operation: try await operation(in: path),
            head: head,
            remote: remote,
            ahead: ahead,
            behind: behind
        )
        switch plan {
        case .report(var report):
            if resumed > 0 { report.taken = resumed }
            return report
        case .fastForward(let behind):
            return try await forward(to: remote ?? "", behind: behind, from: head, in: path, resumed: resumed)
        }
    }

    private func forward(to remote: String, behind: Int, from head: String?, in path: String, resumed: Int) async throws
        -> SyncReport
    {
        func blocked(_ files: String) -> SyncReport {
            SyncReport(
                .dirty,
                message: "the remote has \(behind) new commits, and \(files)",
                remedy: "commit or stash what is changed; the commits are then taken by themselves",
                headCommit: head,
                remoteCommit: remote,
                ahead: 0,
                behind: behind,
                taken: resumed == 0 ? nil : resumed
            )
        }
        let status = try await git.asAgent(["status", "--porcelain", "--untracked-files=no"], in: path)
            .checked("read the status")
        let changed = status.outputText.split(separator: "\n")
        guard changed.isEmpty else {
            let names = changed.prefix(3).map { String($0.dropFirst(3)) }.joined(separator: ", ")
            return blocked("\(names)\(changed.count > 3 ? " and \(changed.count - 3) more" : "") changed here")
        }
        // The mark goes first: whoever finds it knows that half-written files are the remote's.
        _ = try await git.asAgent(["update-ref", Self.mark, remote], in: path).checked("mark the move")
        let merge = try await git.asAgent(
            ["merge", "--ff-only", "--quiet", "--no-edit", remote],
            in: path,
            deadline: git.configuration.transferDeadline
        )
        _ = try await git.asAgent(["update-ref", "-d", Self.mark], in: path)
        guard merge.succeeded else {
            if merge.errorText.contains("No space left on device") { _ = try merge.checked("move the branch") }
            return blocked("files here are in the way: \(GitFailure.lastLine(merge.errorText))")
        }
        return SyncReport(
            .current,
            headCommit: remote,
            remoteCommit: remote,
            ahead: 0,
            behind: 0,
            taken: behind + resumed
        )
    }

    /// Where a move that may have been cut off was going.
    private static let mark = "refs/berth/sync"

    /// Finishes a move that died half-way. Files that hold neither what the branch had nor, whole or in part, what the
    /// remote has are somebody's work: they stay, and the move waits for them.
    /// - Returns: how many commits were taken.
    func resume(_ path: String) async throws -> Int {
        guard let target = try await commit(Self.mark, in: path) else { return 0 }
        let head = try await commit("HEAD", in: path)
        func done(_ taken: Int) async throws -> Int {
            _ = try await git.asAgent(["update-ref", "-d", Self.mark], in: path).checked("end the move")
            return taken
        }
        // Moved on by whoever works there, the mark says nothing any more.
        guard let head, head != target, try await distance(head, target, in: path).ahead == 0 else {
            return try await done(0)
        }
        let script = Self.resumption
        let result = try await git.asAgent(
            shell: script,
            [head, target],
            in: path,
            deadline: git.configuration.transferDeadline
        )
        guard result.succeeded else { return try await done(0) }
        return try await done(try await distance(head, target, in: path).behind)
    }

    /// `$1` is where the branch stands, `$2` where it was going. Of each path that differs between the two: what is on
    /// the disk must be the one, the other, or a beginning of the other. Then all are put back and moved in one go.
    private static let resumption = #"""
        set -e
        git() { command git -c core.hooksPath=/dev/null -c core.quotePath=false "$@"; }
        for lock in index HEAD ORIG_HEAD "$(git symbolic-ref -q HEAD)"; do
            rm -f -- "$(git rev-parse --git-path "$lock.lock")"
        done
        scratch=$(mktemp -d)
        trap 'rm -rf -- "$scratch"' EXIT
        git diff --name-only --no-renames -z "$1" "$2" > "$scratch/names"
        GIT_INDEX_FILE="$scratch/index"; export GIT_INDEX_FILE
        git read-tree "$1"
        git update-index -q --refresh > /dev/null || true
        git diff-files --name-only -z > "$scratch/changed"
        git ls-files --others --exclude-standard -z >> "$scratch/changed"
        [ "$(cat "$scratch/names" "$scratch/changed" | tr -dc '\n' | wc -c)" -eq 0 ]
        tr '\0' '\n' < "$scratch/names" | sort > "$scratch/names.txt"
        tr '\0' '\n' < "$scratch/changed" | sort > "$scratch/changed.txt"
        comm -12 "$scratch/names.txt" "$scratch/changed.txt" > "$scratch/mine.txt"
        comm -13 "$scratch/names.txt" "$scratch/changed.txt" > "$scratch/other.txt"
        while IFS= read -r file; do
            if git cat-file -e "$1:$file" 2> /dev/null; then exit 3; fi
        done < "$scratch/other.txt"
        while IFS= read -r file; do
            if [ ! -e "$file" ] && [ ! -L "$file" ]; then continue; fi
            git cat-file -e "$2:$file"
            git cat-file blob "$2:$file" > "$scratch/blob"
            if [ -L "$file" ]; then
                [ "$(readlink -- "$file")" = "$(cat "$scratch/blob")" ]
            else
                head -c "$(wc -c < "$file")" "$scratch/blob" | cmp -s - "$file"
            fi
        done < "$scratch/mine.txt"
        unset GIT_INDEX_FILE
        while IFS= read -r file; do
            if git cat-file -e "$1:$file" 2> /dev/null; then continue; fi
            rm -f -- "$file"
        done < "$scratch/mine.txt"
        git read-tree "$1"
        while IFS= read -r file; do
            if git cat-file -e "$1:$file" 2> /dev/null; then git checkout-index -q -f -- "$file"; fi
        done < "$scratch/mine.txt"
        git update-index -q --refresh > /dev/null || true
        git merge --ff-only --quiet --no-edit "$2"
        """#

    private func commit(_ name: String, in path: String) async throws -> String? {
        let result = try await git.asAgent(["rev-parse", "--verify", "--quiet", "\(name)^{commit}"], in: path)
        return result.succeeded ? result.outputText.trimmed : nil
    }

    /// Commits that `remote` lacks, and that `head` lacks.
    private func distance(_ head: String?, _ remote: String, in path: String) async throws -> (ahead: Int, behind: Int)
    {
        guard let head else {
            let all = try await git.asAgent(["rev-list", "--count", remote, "--"], in: path).checked("count commits")
            return (0, Int(all.outputText.trimmed) ?? 0)
        }
        let counts = try await git.asAgent(
            ["rev-list", "--left-right", "--count", "\(head)...\(remote)", "--"],
            in: path
        )
        .checked("compare with the remote")
        let numbers = counts.outputText.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        return numbers.count == 2 ? (numbers[0], numbers[1]) : (0, 0)
    }

    /// What is in progress, by the name of git's own command.
    private func operation(in path: String) async throws -> String? {
        let directory = try await git.asAgent(["rev-parse", "--absolute-git-dir"], in: path)
            .checked("find the repository").outputText.trimmed
        let marks = [
            ("MERGE_HEAD", "merge"), ("rebase-merge", "rebase"), ("rebase-apply", "rebase"),
            ("CHERRY_PICK_HEAD", "cherry-pick"), ("REVERT_HEAD", "revert"), ("BISECT_LOG", "bisect"),
        ]
        return marks.first { access("\(directory)/\($0.0)", F_OK) == 0 }?.1
    }
}
