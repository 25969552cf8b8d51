public import Base
public import Domain

/// A git remote that an organization works with.
public struct RepositoryRecord: Sendable, Equatable {
    public var id: RepositoryID
    public var organizationID: OrganizationID
    public var ownerID: UserID?
    public var url: String
    /// The last part of the URL's path.
    public var name: String
    /// nil: the remote's own.
    public var defaultBranch: String?
    public var createdAt: Timestamp
}

/// One checkout in an environment.
public struct WorkspaceRecord: Sendable, Equatable {
    public var id: WorkspaceID
    public var organizationID: OrganizationID
    public var ownerID: UserID
    public var environmentID: EnvironmentID
    public var repositoryID: RepositoryID?
    /// Unique among its owner's that are not archived.
    public var name: String
    public var description: String?
    /// Under the environment's workspace root; an absolute path is a working tree of the host, used in place.
    public var directory: String
    public var state: WorkspaceState
    public var location: WorkspaceLocation
    /// Why it failed.
    public var failure: FailureReason?
    public var baseReference: String?
    public var branch: String
    /// Nobody chose the branch's name.
    public var isGeneratedBranch: Bool
    public var source: WorkspaceSource
    public var parentID: WorkspaceID?
    public var issue: Issue?
    public var pullRequest: PullRequest
    public var ratchet: Ratchet
    public var initialisation: Initialisation
    public var hasHadSessions: Bool
    public var autoStopMinutes: Int?
    /// Its twin on another server.
    public var cloudWorkspaceID: String?
    /// Its remote is looked at by itself.
    public var isCloudSyncEnabled: Bool
    public var hasCredentials: Bool
    public var setup: WorkspaceSetup?
    public var sync: Sync
    /// What the last run left behind.
    public var outcome: WorkspaceOutcome?
    public var createdAt: Timestamp
    public var stateEnteredAt: Timestamp
    /// When a state that does not last is looked at.
    public var deadlineAt: Timestamp?
    public var lastActiveAt: Timestamp?
    public var archivedAt: Timestamp?
    /// Changes with each write.
    public var version: Int64

    public var message: String? { failure?.message }
    public var issueURL: String? { issue?.url }
    public var pullRequestURL: String? { pullRequest.url }

    public struct Issue: Sendable, Equatable {
        public var url: String
        public var number: Int?
        public var title: String?

        public init(url: String, number: Int? = nil, title: String? = nil) {
            self.url = url
            self.number = number
            self.title = title
        }
    }

    public struct PullRequest: Sendable, Equatable {
        public var url: String?
        public var number: Int?
        public var state = PullRequestState.none
        public var ciStatus = "UNKNOWN"
        public var reviewState: String?
        public var updatedAt: Timestamp?
        public var reviewLastCheckedAt: Timestamp?
    }

    public struct Ratchet: Sendable, Equatable {
        public var isEnabled = false
        public var state: String?
        public var lastCIRunID: String?
        public var lastCheckedAt: Timestamp?
        public var lastPushAt: Timestamp?
        public var activeSessionID: String?
    }

    /// The run that sets it up; its output is the execution's.
    public struct Initialisation: Sendable, Equatable {
        public var executionID: ExecutionID?
        public var startedAt: Timestamp?
        public var completedAt: Timestamp?
        public var retries = 0
    }

    public struct Sync: Sendable, Equatable {
        public var report: SyncReport?
        public var checkedAt: Timestamp?
        public var dueAt: Timestamp?
    }
}

/// A request for a checkout with a branch of its own.
public struct NewWorkspace: Sendable {
    public var organizationID: OrganizationID
    public var ownerID: UserID
    public var environmentID: EnvironmentID
    public var repositoryURL: String
    /// Branch, tag or commit to start from; nil: the repository's default branch.
    public var baseReference: String?
    /// nil: one named after the task.
    public var branch: String?
    /// What is to be done, in words; names the branch and the workspace.
    public var task: String
    public var issueURL: String?
    public var push: Bool
    public var commitLeftovers: Bool
    /// Chosen by a person; nil: words of the task.
    public var name: String?
    public var description: String?
    public var source = WorkspaceSource.manual
    public var parentID: WorkspaceID?
    public var issueTitle: String?
    public var issueNumber: Int?
    public var autoStopMinutes: Int?
    public var isCloudSyncEnabled = false
    /// nil: an execution brings the workspace along, and its own work is what it is for.
    public var setup: WorkspaceSetup?
    /// Absolute: a working tree of the host, used in place.
    public var directory: String?
    /// Logins for the remote, kept for later operations.
    public var credentials: Secret<[UInt8]>?
    public var location = WorkspaceLocation.cloud

    public init(
        organizationID: OrganizationID,
        ownerID: UserID,
        environmentID: EnvironmentID,
        repositoryURL: String,
        baseReference: String? = nil,
        branch: String? = nil,
        task: String,
        issueURL: String? = nil,
        push: Bool = false,
        commitLeftovers: Bool = true
    ) {
        self.organizationID = organizationID
        self.ownerID = ownerID
        self.environmentID = environmentID
        self.repositoryURL = repositoryURL
        self.baseReference = baseReference
        self.branch = branch
        self.task = task
        self.issueURL = issueURL
        self.push = push
        self.commitLeftovers = commitLeftovers
    }
}
