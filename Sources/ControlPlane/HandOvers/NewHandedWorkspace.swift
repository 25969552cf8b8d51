public import Base
public import Domain

/// A row for a workspace that comes for the first time.
public struct NewHandedWorkspace: Sendable {
    public var environmentID: EnvironmentID
    public var repositoryID: RepositoryID?
    public var location: WorkspaceLocation
    public var name: String
    public var directory: String
    public var baseReference: String?
    public var branch: String
    public var issueURL: String?
    public var pullRequestURL: String?
    public var pullRequestNumber: Int64?
    public var ratchetEnabled: Bool
    public var ratchetState: String?
    public var details: HandedDetails
    /// Of variables that it had; their values do not come.
    public var variableNames: [String]

    public init(
        environmentID: EnvironmentID,
        repositoryID: RepositoryID?,
        location: WorkspaceLocation,
        name: String,
        directory: String,
        baseReference: String?,
        branch: String,
        issueURL: String?,
        pullRequestURL: String?,
        pullRequestNumber: Int64?,
        ratchetEnabled: Bool,
        ratchetState: String?,
        details: HandedDetails = HandedDetails(),
        variableNames: [String] = []
    ) {
        self.environmentID = environmentID
        self.repositoryID = repositoryID
        self.location = location
        self.name = name
        self.directory = directory
        self.baseReference = baseReference
        self.branch = branch
        self.issueURL = issueURL
        self.pullRequestURL = pullRequestURL
        self.pullRequestNumber = pullRequestNumber
        self.ratchetEnabled = ratchetEnabled
        self.ratchetState = ratchetState
        self.details = details
        self.variableNames = variableNames
    }
}
