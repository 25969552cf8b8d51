public import Base
public import Domain

/// One side of a hand-over, as a row.
public struct HandOverRecord: Sendable, Equatable {
    public var id: HandOverID
    public var organizationID: OrganizationID
    public var ownerID: UserID
    public var machine: HandOverMachine
    /// Whether this server talks to the other.
    public var isDriver: Bool
    /// What is being done, for people.
    public var stage: String
    public var workspaceID: WorkspaceID
    public var custodyBefore: Custody
    public var peerName: String
    public var peerURL: String?
    public var peerPin: String?
    public var peerWorkspaceID: WorkspaceID?
    /// Of the other server's workspaces, once it has said.
    public var peerLocation: WorkspaceLocation?
    public var sealedToken: [UInt8]?
    public var includesIgnored: Bool
    /// Bytes.
    public var ignoredLimit: Int64
    public var archiveBytes: Int64?
    /// Hexadecimal.
    public var archiveDigest: String?
    /// JSON, for people.
    public var summary: String?
    /// What the last try came to.
    public var failure: FailureReason?
    public var version: Int64
    public var createdAt: Timestamp
    public var stateEnteredAt: Timestamp
    public var progressAt: Timestamp
    public var clearedAt: Timestamp?

    public var side: HandOverSide { machine.side }
    public var state: HandOverState { machine.state }
    public var epoch: Int64 { machine.epoch }
}

/// What a hand-over has to know of the workspace's row.
public struct HandedRow: Sendable, Equatable {
    public var id: WorkspaceID
    public var ownerID: UserID
    public var environmentID: EnvironmentID
    public var repositoryURL: String?
    public var name: String
    public var directory: String
    public var state: WorkspaceState
    public var custody: Custody
    public var epoch: Int64
    public var baseReference: String?
    public var branch: String
    public var issueURL: String?
    public var pullRequestURL: String?
    public var pullRequestNumber: Int64?
    public var ratchetEnabled: Bool
    public var ratchetState: String?
    public var details: HandedDetails
    public var version: Int64
}

/// The other server, and how it is reached.
public struct HandOverTarget: Sendable {
    public var name: String
    public var url: String
    public var pin: String?
    public var token: Secret<String>

    public init(name: String, url: String, pin: String?, token: Secret<String>) {
        self.name = name
        self.url = url
        self.pin = pin
        self.token = token
    }
}

/// Who set a hand-over off, and what may travel.
public struct HandOverWish: Sendable {
    public var organizationID: OrganizationID
    public var ownerID: UserID
    public var includesIgnored: Bool
    public var ignoredLimit: Int64

    public init(organizationID: OrganizationID, ownerID: UserID, includesIgnored: Bool, ignoredLimit: Int64) {
        self.organizationID = organizationID
        self.ownerID = ownerID
        self.includesIgnored = includesIgnored
        self.ignoredLimit = ignoredLimit
    }
}
