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
    public var name: String
    /// Under the environment's workspace root.
    public var directory: String
    public var state: WorkspaceState
    public var location: WorkspaceLocation
    /// Why it failed.
    public var message: String?
    public var baseReference: String?
    public var branch: String
    public var issueURL: String?
    public var pullRequestURL: String?
    /// What the last run left behind.
    public var outcome: WorkspaceOutcome?
    public var createdAt: Timestamp
    public var stateEnteredAt: Timestamp
    public var lastActiveAt: Timestamp?
    /// Changes with each write.
    public var version: Int64
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
