internal import Base
public import WorkerProtocol
public import WorkspaceTypes

/// Answered by the worker with the environment's own git, in a workspace's checkout.
public struct GitStatusCall: ServiceCall, Equatable {
    public static let service = "git.status"
    public static let isUse = false
    public typealias Answer = GitStatus

    public var directory: String

    public init(directory: String) { self.directory = directory }
}

public struct GitDiffCall: ServiceCall, Equatable {
    public static let service = "git.diff"
    public typealias Answer = GitDiff

    public enum Scope: String, Sendable, Codable, CaseIterable {
        /// The files against the index.
        case unstaged
        /// The index against the last commit.
        case staged
        /// The files against the last commit.
        case head
        /// The files against where the branch left its base.
        case base
    }

    public var directory: String
    public var scope: Scope
    /// A branch, tag or commit, for `base`; nil: the remote's default branch.
    public var base: String?
    /// Only this file, or what is below this directory.
    public var path: String?
    /// Of patches altogether; 0: none are wanted.
    public var maximumPatchBytes: Int

    public init(directory: String, scope: Scope, base: String?, path: String?, maximumPatchBytes: Int) {
        self.directory = directory
        self.scope = scope
        self.base = base
        self.path = path
        self.maximumPatchBytes = maximumPatchBytes
    }
}

public struct GitLogCall: ServiceCall, Equatable {
    public static let service = "git.log"
    public static let isUse = false
    public typealias Answer = GitLog

    public var directory: String
    /// A branch, tag, commit or range; nil: what is checked out.
    public var reference: String?
    public var path: String?
    public var skip: Int
    public var limit: Int

    public init(directory: String, reference: String?, path: String?, skip: Int, limit: Int) {
        self.directory = directory
        self.reference = reference
        self.path = path
        self.skip = skip
        self.limit = limit
    }
}

public struct GitCommitCall: ServiceCall, Equatable {
    public static let service = "git.commit"
    public typealias Answer = GitCommit

    public var directory: String
    public var message: String
    /// Every change, new files too. Otherwise what is staged, or `paths`.
    public var includesAll: Bool
    /// These alone, whatever else is staged.
    public var paths: [String]
    public var amends: Bool
    /// Whether the repository's hooks run, as the environment's user.
    public var runsHooks: Bool

    public init(
        directory: String,
        message: String,
        includesAll: Bool,
        paths: [String],
        amends: Bool,
        runsHooks: Bool
    ) {
        self.directory = directory
        self.message = message
        self.includesAll = includesAll
        self.paths = paths
        self.amends = amends
        self.runsHooks = runsHooks
    }
}

public struct GitBranchListCall: ServiceCall, Equatable {
    public static let service = "git.branches"
    public static let isUse = false
    public typealias Answer = GitBranches

    public var directory: String

    public init(directory: String) { self.directory = directory }
}

/// Makes a branch, checks one out, or both.
public struct GitSwitchCall: ServiceCall, Equatable {
    public static let service = "git.switch"
    public typealias Answer = GitStatus

    public var directory: String
    public var branch: String
    public var creates: Bool
    public var checksOut: Bool
    /// Where a new one begins; nil: at what is checked out.
    public var start: String?

    public init(directory: String, branch: String, creates: Bool, checksOut: Bool, start: String?) {
        self.directory = directory
        self.branch = branch
        self.creates = creates
        self.checksOut = checksOut
        self.start = start
    }
}

/// What git may show to the remote; kept in memory for this one operation.
public struct GitRemoteAccess: Sendable, Codable, Equatable {
    public var url: String
    public var credentials: [ServerMessage.GitCredential]
    public var ssh: ServerMessage.SSHCredential?

    public init(url: String, credentials: [ServerMessage.GitCredential], ssh: ServerMessage.SSHCredential?) {
        self.url = url
        self.credentials = credentials
        self.ssh = ssh
    }
}

public struct GitPushCall: ServiceCall, Equatable {
    public static let service = "git.push"
    public typealias Answer = GitPush

    public var directory: String
    /// What it is called at the remote; nil: as here.
    public var branch: String?
    public var remote: GitRemoteAccess

    public init(directory: String, branch: String?, remote: GitRemoteAccess) {
        self.directory = directory
        self.branch = branch
        self.remote = remote
    }
}

public struct GitPullCall: ServiceCall, Equatable {
    public static let service = "git.pull"
    public typealias Answer = GitPull

    public var directory: String
    /// Of the remote; nil: the one that the branch follows, or of its name.
    public var branch: String?
    /// Whether a merge that does not work out is left in the checkout, to be resolved there.
    public var keepsConflicts: Bool
    public var remote: GitRemoteAccess

    public init(directory: String, branch: String?, keepsConflicts: Bool, remote: GitRemoteAccess) {
        self.directory = directory
        self.branch = branch
        self.keepsConflicts = keepsConflicts
        self.remote = remote
    }
}

/// What runs in an environment.
public struct ProcessListing: ServiceCall, Equatable {
    public static let service = "process.list"
    public static let isUse = false
    public typealias Answer = [EnvironmentProcess]

    public init() {}
}

/// A signal for one of the processes that the listing calls signallable.
public struct ProcessSignal: ServiceCall, Equatable {
    public static let service = "process.signal"
    public typealias Answer = EnvironmentProcess

    public var pid: Int32
    public var signal: Int32
    /// As listed; another process of that number is left alone. nil: whichever has it.
    public var startedAtMs: Int64?

    public init(pid: Int32, signal: Int32, startedAtMs: Int64?) {
        self.pid = pid
        self.signal = signal
        self.startedAtMs = startedAtMs
    }
}
