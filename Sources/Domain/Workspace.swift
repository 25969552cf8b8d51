public import Base

/// What to check out for an execution and what to do with the result.
public struct WorkspaceRequest: Sendable, Codable, Equatable {
    public var workspaceID: WorkspaceID
    /// Directory name under the environment's workspace root; `[A-Za-z0-9._-]`, never `.` or `..`.
    public var directory: String
    /// What git clones from: https, http, ssh, `git@host:path`, an absolute path in the environment, or `local:name` for
    /// a repository of the caller's own machine, which comes as an upload. Never with credentials in it.
    public var repositoryURL: String
    /// The repository itself, where the environment cannot reach it: a git bundle. nil with `local:name`: it is empty.
    public var upload: UploadReference?
    /// Branch, tag or commit to start from; nil means the remote's default branch.
    public var baseReference: String?
    /// The branch made for the task.
    public var branch: String
    /// Push the branch when the run ends.
    public var push: Bool
    /// Whether to commit what the agent left uncommitted at the end.
    public var commitLeftovers: Bool
    /// Of the execution that sets the workspace up: the repository's own script runs in place of a command. nil: an
    /// ordinary run.
    public var setup: WorkspaceSetup?

    public init(
        workspaceID: WorkspaceID,
        directory: String,
        repositoryURL: String,
        upload: UploadReference? = nil,
        baseReference: String? = nil,
        branch: String,
        push: Bool = false,
        commitLeftovers: Bool = true,
        setup: WorkspaceSetup? = nil
    ) {
        self.workspaceID = workspaceID
        self.directory = directory
        self.repositoryURL = repositoryURL
        self.upload = upload
        self.baseReference = baseReference
        self.branch = branch
        self.push = push
        self.commitLeftovers = commitLeftovers
        self.setup = setup
    }

    /// A working tree of the host itself, used where it lies.
    public var isInPlace: Bool { directory.hasPrefix("/") }
}

/// How a workspace begins, where that is more than a checkout.
public struct WorkspaceSetup: Sendable, Codable, Equatable {
    /// Another workspace of the environment, whose commits this one begins with.
    public var parentDirectory: String?
    /// The upload also holds what was not committed: index and files come back as they were.
    public var state: AdoptedState?
    /// The working tree is as it was: the repository's script is not run again.
    public var skipsScript: Bool?

    public init(parentDirectory: String? = nil, state: AdoptedState? = nil) {
        self.parentDirectory = parentDirectory
        self.state = state
    }

    /// Full object names of commits that stand for what is no commit yet.
    public struct AdoptedState: Sendable, Codable, Equatable {
        /// Where the branch stands.
        public var head: String
        /// Its tree is the index.
        public var index: String
        /// Its tree is the working tree, with untracked files and without ignored ones.
        public var files: String
        /// Newest first.
        public var stashes: [String]

        public init(head: String, index: String, files: String, stashes: [String]) {
            self.head = head
            self.index = index
            self.files = files
            self.stashes = stashes
        }

        /// Of the references by which an upload holds them.
        public static let prefix = "refs/berth/adopt/"

        public var commits: [String] { [index, files] + stashes }
    }
}

/// Bytes that a caller has given the server for an execution to come.
public struct UploadReference: Sendable, Codable, Equatable {
    public var id: UploadID
    public var bytes: Int64
    /// Of the bytes, hexadecimal.
    public var sha256: String

    public init(id: UploadID, bytes: Int64, sha256: String) {
        self.id = id
        self.bytes = bytes
        self.sha256 = sha256
    }
}

/// A git bundle (git-bundle(1)) that holds one branch, from what the remote had to the task's end.
public struct BundleMark: Sendable, Codable, Equatable {
    /// The branch in it, as `refs/heads/<branch>`.
    public var branch: String
    public var bytes: Int64
    /// Of the bytes, hexadecimal.
    public var sha256: String

    public init(branch: String, bytes: Int64, sha256: String) {
        self.branch = branch
        self.bytes = bytes
        self.sha256 = sha256
    }
}

/// What a run left behind in its workspace.
public struct WorkspaceOutcome: Sendable, Codable, Equatable {
    public struct Commit: Sendable, Codable, Equatable {
        /// Full object name, hexadecimal.
        public var id: String
        public var subject: String

        public init(id: String, subject: String) {
            self.id = id
            self.subject = subject
        }
    }

    public struct FileChange: Sendable, Codable, Equatable {
        public var path: String
        /// nil for a binary file.
        public var additions: Int?
        public var deletions: Int?

        public init(path: String, additions: Int?, deletions: Int?) {
            self.path = path
            self.additions = additions
            self.deletions = deletions
        }
    }

    public var branch: String
    /// nil where the repository was empty and still is.
    public var baseCommit: String?
    public var headCommit: String?
    public var commits: [Commit]
    public var files: [FileChange]
    public var pushed: Bool
    /// The new commits as a git bundle, kept with the execution; nil where there are none.
    public var bundle: BundleMark?
    /// Things a person should know: a rejected push, skipped LFS objects, submodules that could not be fetched.
    public var warnings: [String]

    public init(
        branch: String,
        baseCommit: String?,
        headCommit: String?,
        commits: [Commit] = [],
        files: [FileChange] = [],
        pushed: Bool = false,
        bundle: BundleMark? = nil,
        warnings: [String] = []
    ) {
        self.branch = branch
        self.baseCommit = baseCommit
        self.headCommit = headCommit
        self.commits = commits
        self.files = files
        self.pushed = pushed
        self.bundle = bundle
        self.warnings = warnings
    }
}

public enum WorkspaceState: String, Sendable, Codable, CaseIterable {
    case new = "NEW"
    case provisioning = "PROVISIONING"
    case ready = "READY"
    case failed = "FAILED"
    case archived = "ARCHIVED"
}

public enum WorkspaceLocation: String, Sendable, Codable {
    case desktop = "DESKTOP"
    case cloud = "CLOUD"
}

/// Why there is a workspace.
public enum WorkspaceSource: String, Sendable, Codable, CaseIterable {
    case manual = "MANUAL"
    case resumedBranch = "RESUME_BRANCH"
    case issue = "GITHUB_ISSUE"
    case child = "CHILD_WORKSPACE"
    case adopted = "ADOPTED"
}

/// Of the pull request of a workspace's branch.
public enum PullRequestState: String, Sendable, Codable, CaseIterable {
    case none = "NONE"
    case draft = "DRAFT"
    case open = "OPEN"
    case changesRequested = "CHANGES_REQUESTED"
    case approved = "APPROVED"
    case merged = "MERGED"
    case closed = "CLOSED"
}
