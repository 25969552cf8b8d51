public import Base

/// What a workspace's row says besides its checkout, on its way to another server.
public struct HandedDetails: Sendable, Codable, Equatable {
    public var description: String?
    public var creationSource: WorkspaceSource
    public var isGeneratedBranch: Bool
    public var issueNumber: Int?
    public var issueTitle: String?
    public var pullRequestState: PullRequestState
    public var pullRequestCIStatus: String
    public var pullRequestReviewState: String?
    public var pullRequestUpdatedAt: Timestamp?
    public var reviewLastCheckedAt: Timestamp?
    public var ratchetLastCIRunID: String?
    public var ratchetLastCheckedAt: Timestamp?
    public var ratchetLastPushAt: Timestamp?
    public var ratchetActiveSessionID: String?
    public var hasHadSessions: Bool
    public var autoStopMinutes: Int?
    public var isCloudSyncEnabled: Bool
    /// There are logins for its remote; they stay.
    public var hasCredentials: Bool
    /// Executions that it has had; they stay, and their output with them.
    public var runs: Int

    public init(
        description: String? = nil,
        creationSource: WorkspaceSource = .manual,
        isGeneratedBranch: Bool = true,
        issueNumber: Int? = nil,
        issueTitle: String? = nil,
        pullRequestState: PullRequestState = .none,
        pullRequestCIStatus: String = "UNKNOWN",
        pullRequestReviewState: String? = nil,
        pullRequestUpdatedAt: Timestamp? = nil,
        reviewLastCheckedAt: Timestamp? = nil,
        ratchetLastCIRunID: String? = nil,
        ratchetLastCheckedAt: Timestamp? = nil,
        ratchetLastPushAt: Timestamp? = nil,
        ratchetActiveSessionID: String? = nil,
        hasHadSessions: Bool = false,
        autoStopMinutes: Int? = nil,
        isCloudSyncEnabled: Bool = false,
        hasCredentials: Bool = false,
        runs: Int = 0
    ) {
        self.description = description
        self.creationSource = creationSource
        self.isGeneratedBranch = isGeneratedBranch
        self.issueNumber = issueNumber
        self.issueTitle = issueTitle
        self.pullRequestState = pullRequestState
        self.pullRequestCIStatus = pullRequestCIStatus
        self.pullRequestReviewState = pullRequestReviewState
        self.pullRequestUpdatedAt = pullRequestUpdatedAt
        self.reviewLastCheckedAt = reviewLastCheckedAt
        self.ratchetLastCIRunID = ratchetLastCIRunID
        self.ratchetLastCheckedAt = ratchetLastCheckedAt
        self.ratchetLastPushAt = ratchetLastPushAt
        self.ratchetActiveSessionID = ratchetActiveSessionID
        self.hasHadSessions = hasHadSessions
        self.autoStopMinutes = autoStopMinutes
        self.isCloudSyncEnabled = isCloudSyncEnabled
        self.hasCredentials = hasCredentials
        self.runs = runs
    }
}

/// What a workspace had where it came from and does not have here, for the person to see to.
public struct HandedLacks: Sendable, Codable, Equatable {
    /// Names of variables without a value here.
    public var missingVariables: [String]
    /// There is no login for its remote here.
    public var missingLogin: Bool
    /// Executions that stay where they were.
    public var runsLeft: Int

    public init(missingVariables: [String], missingLogin: Bool, runsLeft: Int) {
        self.missingVariables = missingVariables
        self.missingLogin = missingLogin
        self.runsLeft = runsLeft
    }
}
