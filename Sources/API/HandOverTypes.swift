public import Base
public import Domain

/// A server that a workspace goes to or comes from, as the caller knows it.
public struct HandOverPeer: Sendable, Codable, Equatable {
    /// What the caller calls it.
    public var name: String
    public var url: String
    /// The caller's own there. Sealed while the hand-over lasts, then forgotten.
    public var token: String
    /// Of its certificate's key, as `sha256/…`; nil: what its certificate says counts.
    public var pin: String?

    public init(name: String, url: String, token: String, pin: String? = nil) {
        self.name = name
        self.url = url
        self.token = token
        self.pin = pin
    }
}

/// `POST /v1/workspaces/{workspaceId}/send`.
public struct SendWorkspace: Sendable, Codable, Equatable {
    public var peer: HandOverPeer
    /// Ignored files as well.
    public var includeIgnored: Bool?
    /// Bytes of ignored files at most.
    public var ignoredLimitBytes: Int64?

    public init(peer: HandOverPeer, includeIgnored: Bool? = nil, ignoredLimitBytes: Int64? = nil) {
        self.peer = peer
        self.includeIgnored = includeIgnored
        self.ignoredLimitBytes = ignoredLimitBytes
    }
}

/// `POST /v1/hand-overs`.
public struct PullWorkspace: Sendable, Codable, Equatable {
    public var peer: HandOverPeer
    /// Of the workspace there.
    public var workspaceId: WorkspaceID
    public var includeIgnored: Bool?
    public var ignoredLimitBytes: Int64?

    public init(
        peer: HandOverPeer,
        workspaceId: WorkspaceID,
        includeIgnored: Bool? = nil,
        ignoredLimitBytes: Int64? = nil
    ) {
        self.peer = peer
        self.workspaceId = workspaceId
        self.includeIgnored = includeIgnored
        self.ignoredLimitBytes = ignoredLimitBytes
    }
}

/// `POST /v1/workspaces/{workspaceId}/take`.
public struct TakeWorkspace: Sendable, Codable, Equatable {
    /// That the caller knows: a living other side then also owns.
    public var force: Bool

    public init(force: Bool) { self.force = force }
}

/// A workspace on its way between two servers, as one of them sees it.
public struct HandOver: Sendable, Codable, Equatable {
    public var id: HandOverID
    public var side: HandOverSide
    public var state: HandOverState
    /// What is being done: `freezing`, `packing`, …
    public var stage: String
    /// Of this server's row.
    public var workspaceId: WorkspaceID
    public var peerName: String
    public var peerWorkspaceId: WorkspaceID?
    /// That the destination gets.
    public var epoch: Int64
    /// Bytes that travel.
    public var bytes: Int64?
    /// What travels and what does not.
    public var summary: JSONValue?
    /// What the last try came to, also while another one is to follow.
    public var failure: FailureReason?
    public var createdAt: Timestamp
    public var stateEnteredAt: Timestamp

    public init(
        id: HandOverID,
        side: HandOverSide,
        state: HandOverState,
        stage: String,
        workspaceId: WorkspaceID,
        peerName: String,
        peerWorkspaceId: WorkspaceID?,
        epoch: Int64,
        bytes: Int64?,
        summary: JSONValue?,
        failure: FailureReason?,
        createdAt: Timestamp,
        stateEnteredAt: Timestamp
    ) {
        self.id = id
        self.side = side
        self.state = state
        self.stage = stage
        self.workspaceId = workspaceId
        self.peerName = peerName
        self.peerWorkspaceId = peerWorkspaceId
        self.epoch = epoch
        self.bytes = bytes
        self.summary = summary
        self.failure = failure
        self.createdAt = createdAt
        self.stateEnteredAt = stateEnteredAt
    }
}

/// What one server says to the other about a hand-over; every one may come twice.
public struct HandOverMessage: Sendable, Codable, Equatable {
    public enum Kind: String, Sendable, Codable, CaseIterable {
        // To the destination.
        /// Begins it, and asks what the destination has of the repository.
        case offer
        /// The archive is there: make the checkout, compare, answer when it is durable.
        case prepare
        /// The source has decided.
        case commit
        // To the source.
        /// Freezes the workspace and asks for its offer.
        case request
        /// Packs for a destination that has what `known` names.
        case pack
        /// The destination is prepared: decide.
        case decide
        /// The destination acts.
        case settled
        // To both.
        case abort
        /// A person gave the workspace to the sender, at this epoch.
        case superseded
    }

    /// Of this exchange.
    public static let version = 1

    public var kind: Kind
    public var version: Int
    public var offer: WorkspaceOffer?
    public var known: [String]?
    public var sha256: String?
    public var bytes: Int64?
    public var epoch: Int64?
    /// What the sender is called by whoever set this off.
    public var sender: String?
    /// Of the sender's workspaces.
    public var location: WorkspaceLocation?
    public var workspaceId: WorkspaceID?
    public var includeIgnored: Bool?
    public var ignoredLimitBytes: Int64?

    public init(_ kind: Kind) {
        self.kind = kind
        version = Self.version
    }
}

/// What a workspace is besides its checkout. Names of secrets, never values.
public struct WorkspaceOffer: Sendable, Codable, Equatable {
    /// Of the source's row.
    public var workspaceId: WorkspaceID
    public var epoch: Int64
    public var name: String
    public var directory: String
    public var repositoryUrl: String?
    public var baseReference: String?
    public var branch: String
    public var issueUrl: String?
    public var pullRequestUrl: String?
    public var pullRequestNumber: Int64?
    public var ratchetEnabled: Bool
    public var ratchetState: String?
    /// Of variables that its programs have.
    public var secretNames: [String]
    public var details: HandedDetails

    public init(
        workspaceId: WorkspaceID,
        epoch: Int64,
        name: String,
        directory: String,
        repositoryUrl: String?,
        baseReference: String?,
        branch: String,
        issueUrl: String?,
        pullRequestUrl: String?,
        pullRequestNumber: Int64?,
        ratchetEnabled: Bool,
        ratchetState: String?,
        secretNames: [String],
        details: HandedDetails
    ) {
        self.workspaceId = workspaceId
        self.epoch = epoch
        self.name = name
        self.directory = directory
        self.repositoryUrl = repositoryUrl
        self.baseReference = baseReference
        self.branch = branch
        self.issueUrl = issueUrl
        self.pullRequestUrl = pullRequestUrl
        self.pullRequestNumber = pullRequestNumber
        self.ratchetEnabled = ratchetEnabled
        self.ratchetState = ratchetState
        self.secretNames = secretNames
        self.details = details
    }
}

/// What the other server answers.
public struct HandOverReply: Sendable, Codable, Equatable {
    public var handOver: HandOver
    /// Where the answering server's workspaces are.
    public var location: WorkspaceLocation
    public var known: [String]?
    public var offer: WorkspaceOffer?
    public var sha256: String?
    /// Of the destination: what the workspace will not have there.
    public var lacks: HandedLacks?

    public init(
        handOver: HandOver,
        location: WorkspaceLocation,
        known: [String]? = nil,
        offer: WorkspaceOffer? = nil,
        sha256: String? = nil,
        lacks: HandedLacks? = nil
    ) {
        self.handOver = handOver
        self.location = location
        self.known = known
        self.offer = offer
        self.sha256 = sha256
        self.lacks = lacks
    }
}
