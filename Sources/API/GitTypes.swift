/// `POST /v1/workspaces/{workspaceId}/git/commits`.
public struct CommitChanges: Sendable, Codable, Equatable {
    public var message: String
    /// Every change, new files too; otherwise what is staged.
    public var all: Bool?
    /// These alone, whatever else is staged.
    public var paths: [String]?
    public var amend: Bool?
    /// Whether the repository's hooks run, as the environment's user; default true.
    public var hooks: Bool?

    public init(message: String, all: Bool? = nil, paths: [String]? = nil, amend: Bool? = nil, hooks: Bool? = nil) {
        self.message = message
        self.all = all
        self.paths = paths
        self.amend = amend
        self.hooks = hooks
    }
}

/// `POST /v1/workspaces/{workspaceId}/git/branches`.
public struct CreateBranch: Sendable, Codable, Equatable {
    public var name: String
    /// Branch, tag or commit; nil: what is checked out.
    public var from: String?

    public init(name: String, from: String? = nil) {
        self.name = name
        self.from = from
    }
}

/// `POST /v1/workspaces/{workspaceId}/git/switch`.
public struct SwitchBranch: Sendable, Codable, Equatable {
    public var branch: String
    /// Make it first.
    public var create: Bool?
    /// Where a new one begins; nil: what is checked out.
    public var from: String?

    public init(branch: String, create: Bool? = nil, from: String? = nil) {
        self.branch = branch
        self.create = create
        self.from = from
    }
}

/// `POST /v1/workspaces/{workspaceId}/git/push`.
public struct PushBranch: Sendable, Codable, Equatable {
    /// Its name at the remote; nil: as here.
    public var branch: String?
    /// For this one operation; kept nowhere.
    public var gitCredentials: [CreateExecution.GitLogin]?
    public var ssh: CreateExecution.SSHLogin?

    public init(
        branch: String? = nil,
        gitCredentials: [CreateExecution.GitLogin]? = nil,
        ssh: CreateExecution.SSHLogin? = nil
    ) {
        self.branch = branch
        self.gitCredentials = gitCredentials
        self.ssh = ssh
    }
}

/// `POST /v1/workspaces/{workspaceId}/git/pull`.
public struct PullBranch: Sendable, Codable, Equatable {
    /// Of the remote; nil: the one that the branch follows, or of its name.
    public var branch: String?
    /// Leave a merge that does not work out in the checkout, to be resolved there.
    public var keepConflicts: Bool?
    public var gitCredentials: [CreateExecution.GitLogin]?
    public var ssh: CreateExecution.SSHLogin?

    public init(
        branch: String? = nil,
        keepConflicts: Bool? = nil,
        gitCredentials: [CreateExecution.GitLogin]? = nil,
        ssh: CreateExecution.SSHLogin? = nil
    ) {
        self.branch = branch
        self.keepConflicts = keepConflicts
        self.gitCredentials = gitCredentials
        self.ssh = ssh
    }
}

/// `POST /v1/environments/{environmentId}/processes/{pid}/signal`.
public struct SignalProcess: Sendable, Codable, Equatable {
    /// A name such as `TERM`, or a number.
    public var signal: String?
    /// As listed, so that another process that has its number by now is left alone.
    public var startedAtMs: Int64?

    public init(signal: String? = nil, startedAtMs: Int64? = nil) {
        self.signal = signal
        self.startedAtMs = startedAtMs
    }
}
