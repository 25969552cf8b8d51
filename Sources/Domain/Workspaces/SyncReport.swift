/// How a workspace's branch stands to its remote's.
public enum SyncState: String, Sendable, Codable, CaseIterable {
    /// Both have the same commits.
    case current = "CURRENT"
    /// Nothing to take; there are commits to push.
    case ahead = "AHEAD"
    /// The remote has no such branch.
    case unpublished = "UNPUBLISHED"
    /// Files stand in the way of the remote's commits.
    case dirty = "DIRTY"
    /// Both sides have commits that the other lacks.
    case diverged = "DIVERGED"
    /// Another branch, or none, is checked out.
    case elsewhere = "ELSEWHERE"
    /// A merge, rebase or the like is in progress.
    case busy = "BUSY"
    /// The remote refuses.
    case noAccess = "NO_ACCESS"
    /// The remote cannot be asked now.
    case unreachable = "UNREACHABLE"
    /// The check itself failed.
    case failed = "FAILED"

    /// Whether someone has to do something.
    public var needsAttention: Bool {
        switch self {
        case .current, .ahead, .unpublished, .unreachable: false
        case .dirty, .diverged, .elsewhere, .busy, .noAccess, .failed: true
        }
    }
}

/// What a look at the remote came to. Nothing is ever discarded: a branch is moved only forward, and only where no file is
/// in the way.
public struct SyncReport: Sendable, Codable, Equatable {
    public var state: SyncState
    /// Why nothing could be taken.
    public var message: String?
    /// The way out.
    public var remedy: String?
    public var headCommit: String?
    public var remoteCommit: String?
    /// Commits that the remote lacks, and that the workspace lacks.
    public var ahead: Int?
    public var behind: Int?
    /// How many commits were taken by this look.
    public var taken: Int?

    public init(
        _ state: SyncState,
        message: String? = nil,
        remedy: String? = nil,
        headCommit: String? = nil,
        remoteCommit: String? = nil,
        ahead: Int? = nil,
        behind: Int? = nil,
        taken: Int? = nil
    ) {
        self.state = state
        self.message = message
        self.remedy = remedy
        self.headCommit = headCommit
        self.remoteCommit = remoteCommit
        self.ahead = ahead
        self.behind = behind
        self.taken = taken
    }
}

/// What is to be done, from what was seen. Pure.
public enum SyncPlan: Sendable, Equatable {
    case report(SyncReport)
    /// Move the branch and its files forward.
    case fastForward(behind: Int)

    /// - Parameters:
    ///   - current: the branch that is checked out; nil: none.
    ///   - operation: a merge, rebase, … in progress, by its name.
    ///   - remote: the commit that the remote's branch stands on; nil: it has none.
    public init(
        branch: String,
        current: String?,
        operation: String?,
        head: String?,
        remote: String?,
        ahead: Int,
        behind: Int
    ) {
        var report = SyncReport(.current, headCommit: head, remoteCommit: remote, ahead: ahead, behind: behind)
        func blocked(_ state: SyncState, _ message: String, _ remedy: String) -> SyncPlan {
            report.state = state
            report.message = message
            report.remedy = remedy
            return .report(report)
        }
        guard remote != nil else {
            report.state = .unpublished
            (report.ahead, report.behind) = (nil, nil)
            self = .report(report)
            return
        }
        if behind == 0 {
            report.state = ahead == 0 ? .current : .ahead
            self = .report(report)
        } else if let operation {
            self = blocked(
                .busy,
                "a \(operation) is in progress",
                "finish it in the workspace, or end it with 'git \(operation) --abort'"
            )
        } else if current != branch {
            self = blocked(
                .elsewhere,
                current.map { "'\($0)' is checked out, not '\(branch)'" } ?? "no branch is checked out",
                "check out '\(branch)' in the workspace"
            )
        } else if ahead > 0 {
            self = blocked(
                .diverged,
                "the remote has \(behind) commits that are not here, and \(ahead) here are not there",
                "in the workspace, 'git rebase origin/\(branch)' or 'git merge origin/\(branch)'"
            )
        } else {
            self = .fastForward(behind: behind)
        }
    }
}
