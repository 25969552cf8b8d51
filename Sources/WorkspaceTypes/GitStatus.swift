/// What git says of a checkout.
public struct GitStatus: Sendable, Codable, Equatable {
    /// The commit that is checked out; nil before the first.
    public var head: String?
    /// nil where no branch is checked out.
    public var branch: String?
    /// The remote branch that it follows, such as `origin/main`.
    public var upstream: String?
    /// Commits that the upstream has not; nil without one.
    public var ahead: Int?
    public var behind: Int?
    /// Stashes.
    public var stashes: Int
    /// What is under way: `merge`, `rebase`, `cherry-pick`, `revert`, `bisect`.
    public var operation: String?
    public var changes: [GitChange]
    /// There are more changes than are listed.
    public var isTruncated: Bool

    public init(
        head: String? = nil,
        branch: String? = nil,
        upstream: String? = nil,
        ahead: Int? = nil,
        behind: Int? = nil,
        stashes: Int = 0,
        operation: String? = nil,
        changes: [GitChange] = [],
        isTruncated: Bool = false
    ) {
        self.head = head
        self.branch = branch
        self.upstream = upstream
        self.ahead = ahead
        self.behind = behind
        self.stashes = stashes
        self.operation = operation
        self.changes = changes
        self.isTruncated = isTruncated
    }

    public var conflicts: [String] { changes.filter(\.isConflict).map(\.path) }
}

/// One path that differs from the last commit.
public struct GitChange: Sendable, Codable, Equatable {
    public enum Kind: String, Sendable, Codable {
        case modified, added, deleted, renamed, copied, typeChanged
    }

    public var path: String
    /// Where it was before, of one renamed or copied.
    public var previousPath: String?
    /// In the index against the last commit.
    public var staged: Kind?
    /// In the files against the index.
    public var unstaged: Kind?
    public var isUntracked: Bool
    /// Both sides of a merge changed it.
    public var isConflict: Bool

    public init(
        path: String,
        previousPath: String? = nil,
        staged: Kind? = nil,
        unstaged: Kind? = nil,
        isUntracked: Bool = false,
        isConflict: Bool = false
    ) {
        self.path = path
        self.previousPath = previousPath
        self.staged = staged
        self.unstaged = unstaged
        self.isUntracked = isUntracked
        self.isConflict = isConflict
    }
}

/// A difference, file by file.
public struct GitDiff: Sendable, Codable, Equatable {
    public struct File: Sendable, Codable, Equatable {
        public var path: String
        public var previousPath: String?
        public var kind: GitChange.Kind
        /// nil for a binary file.
        public var additions: Int?
        public var deletions: Int?
        /// In git's own form (git-diff(1), *Generating patch text*); nil where it was too long, or not wanted.
        public var patch: String?

        public init(
            path: String,
            previousPath: String? = nil,
            kind: GitChange.Kind,
            additions: Int? = nil,
            deletions: Int? = nil,
            patch: String? = nil
        ) {
            self.path = path
            self.previousPath = previousPath
            self.kind = kind
            self.additions = additions
            self.deletions = deletions
            self.patch = patch
        }
    }

    /// What it is against: a commit for `base`, nil for the index or the last commit.
    public var base: String?
    public var additions: Int
    public var deletions: Int
    public var files: [File]
    /// Files or patches were left out for their length.
    public var isTruncated: Bool

    public init(base: String? = nil, files: [File], isTruncated: Bool) {
        self.base = base
        self.files = files
        self.isTruncated = isTruncated
        additions = files.reduce(0) { $0 + ($1.additions ?? 0) }
        deletions = files.reduce(0) { $0 + ($1.deletions ?? 0) }
    }
}

public struct GitCommit: Sendable, Codable, Equatable {
    /// Full object name, hexadecimal.
    public var id: String
    public var parents: [String]
    public var authorName: String
    public var authorEmail: String
    /// Strict ISO 8601, with the author's own offset.
    public var authoredAt: String
    public var subject: String
    public var body: String

    public init(
        id: String,
        parents: [String],
        authorName: String,
        authorEmail: String,
        authoredAt: String,
        subject: String,
        body: String
    ) {
        self.id = id
        self.parents = parents
        self.authorName = authorName
        self.authorEmail = authorEmail
        self.authoredAt = authoredAt
        self.subject = subject
        self.body = body
    }
}

public struct GitLog: Sendable, Codable, Equatable {
    /// Newest first.
    public var items: [GitCommit]
    public var isTruncated: Bool

    public init(items: [GitCommit], isTruncated: Bool) {
        self.items = items
        self.isTruncated = isTruncated
    }
}

public struct GitBranch: Sendable, Codable, Equatable {
    /// `feature`, or `origin/feature` of a remote.
    public var name: String
    public var commit: String
    public var isCurrent: Bool
    public var isRemote: Bool
    public var upstream: String?
    /// The other checkout that has it checked out.
    public var checkedOutAt: String?
    public var subject: String

    public init(
        name: String,
        commit: String,
        isCurrent: Bool,
        isRemote: Bool,
        upstream: String?,
        checkedOutAt: String?,
        subject: String
    ) {
        self.name = name
        self.commit = commit
        self.isCurrent = isCurrent
        self.isRemote = isRemote
        self.upstream = upstream
        self.checkedOutAt = checkedOutAt
        self.subject = subject
    }
}

public struct GitBranches: Sendable, Codable, Equatable {
    public var items: [GitBranch]

    public init(items: [GitBranch]) { self.items = items }
}

/// What a pull came to. Nothing is discarded by any of them.
public struct GitPull: Sendable, Codable, Equatable {
    public enum Result: String, Sendable, Codable {
        case upToDate, fastForwarded, merged
        /// The two histories change the same places. Without `keepConflicts` nothing has changed; with it the merge is
        /// under way in the checkout, and the files hold both sides.
        case conflict
        /// What is not committed stands in the way; nothing has changed.
        case dirty
    }

    public var result: Result
    public var before: String
    public var after: String
    /// The remote's commit.
    public var remote: String
    /// Files in conflict, or in the way.
    public var files: [String]
    /// What to do about them.
    public var remedy: String?

    public init(
        result: Result,
        before: String,
        after: String,
        remote: String,
        files: [String] = [],
        remedy: String? = nil
    ) {
        self.result = result
        self.before = before
        self.after = after
        self.remote = remote
        self.files = files
        self.remedy = remedy
    }
}

public struct GitPush: Sendable, Codable, Equatable {
    public var branch: String
    public var commit: String

    public init(branch: String, commit: String) {
        self.branch = branch
        self.commit = commit
    }
}
