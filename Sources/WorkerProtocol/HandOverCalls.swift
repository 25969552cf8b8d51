public import Base
public import Domain

/// A checkout in an environment, and the hand-over that a call is for.
public struct HandedWorkspace: Sendable, Equatable, Codable {
    public var handOverId: HandOverID
    public var workspaceId: WorkspaceID
    /// Under the environment's workspace root.
    public var directory: String
    /// What git clones from; nil where it has no remote.
    public var repositoryURL: String?

    public init(handOverId: HandOverID, workspaceId: WorkspaceID, directory: String, repositoryURL: String?) {
        self.handOverId = handOverId
        self.workspaceId = workspaceId
        self.directory = directory
        self.repositoryURL = repositoryURL
    }
}

/// Ends what runs in a workspace and lets nothing begin there. Refused with `conflict` while a run or a turn is under way.
/// Durable when it answers; repeated, it changes nothing.
public struct HandOverFreeze: Sendable, Equatable, ServiceCall {
    public static let service = "handOver.freeze"
    public static let isUse = false
    public typealias Answer = FrozenWorkspace

    public var workspace: HandedWorkspace
    public var epoch: Int64

    public init(workspace: HandedWorkspace, epoch: Int64) {
        self.workspace = workspace
        self.epoch = epoch
    }
}

public struct FrozenWorkspace: Sendable, Equatable, Codable {
    /// Terminals whose programs were ended, by name.
    public var terminals: [String]

    public init(terminals: [String]) { self.terminals = terminals }
}

/// The hand-over came to nothing, or brought the workspace here: things may run in it.
public struct HandOverThaw: Sendable, Equatable, ServiceCall {
    public static let service = "handOver.thaw"
    public static let isUse = false
    public typealias Answer = ServiceDone

    public var workspaceId: WorkspaceID

    public init(workspaceId: WorkspaceID) { self.workspaceId = workspaceId }
}

/// Which commits this environment has of a repository.
public struct HandOverTips: Sendable, Equatable, ServiceCall {
    public static let service = "handOver.tips"
    public static let isUse = false
    public typealias Answer = [String]

    public var workspace: HandedWorkspace

    public init(workspace: HandedWorkspace) { self.workspace = workspace }
}

/// Packs a frozen workspace and gives it to the server.
public struct HandOverPack: Sendable, Equatable, ServiceCall {
    public static let service = "handOver.pack"
    public static let isUse = false
    public typealias Answer = PackedWorkspace

    public var workspace: HandedWorkspace
    /// Commits that the other side has.
    public var known: [String]
    public var includesIgnored: Bool
    /// Bytes.
    public var ignoredLimit: Int64
    /// Bytes that the server takes.
    public var limit: Int64

    public init(
        workspace: HandedWorkspace,
        known: [String],
        includesIgnored: Bool,
        ignoredLimit: Int64,
        limit: Int64
    ) {
        self.workspace = workspace
        self.known = known
        self.includesIgnored = includesIgnored
        self.ignoredLimit = ignoredLimit
        self.limit = limit
    }
}

public struct PackedWorkspace: Sendable, Equatable, Codable {
    public var bytes: Int64
    /// Of the bytes, hexadecimal.
    public var sha256: String
    /// For people: what travels and what does not.
    public var summary: JSONValue

    public init(bytes: Int64, sha256: String, summary: JSONValue) {
        self.bytes = bytes
        self.sha256 = sha256
        self.summary = summary
    }
}

/// Fetches a packed workspace from the server and makes it again beside its place; compared and durable when it answers.
public struct HandOverRestore: Sendable, Equatable, ServiceCall {
    public static let service = "handOver.restore"
    public static let isUse = false
    public typealias Answer = ServiceDone

    public var workspace: HandedWorkspace
    public var bytes: Int64
    public var sha256: String

    public init(workspace: HandedWorkspace, bytes: Int64, sha256: String) {
        self.workspace = workspace
        self.bytes = bytes
        self.sha256 = sha256
    }
}

/// The workspace is this environment's: what was restored gets its place.
public struct HandOverSettle: Sendable, Equatable, ServiceCall {
    public static let service = "handOver.settle"
    public static let isUse = false
    public typealias Answer = ServiceDone

    public var workspace: HandedWorkspace

    public init(workspace: HandedWorkspace) { self.workspace = workspace }
}

/// What was restored, packed or replaced for a hand-over is not needed any more.
public struct HandOverDiscard: Sendable, Equatable, ServiceCall {
    public static let service = "handOver.discard"
    public static let isUse = false
    public typealias Answer = ServiceDone

    public var workspace: HandedWorkspace

    public init(workspace: HandedWorkspace) { self.workspace = workspace }
}

/// The workspace has another owner: this version is kept as a branch, and nothing runs in it any more.
public struct HandOverOrphan: Sendable, Equatable, ServiceCall {
    public static let service = "handOver.orphan"
    public static let isUse = false
    public typealias Answer = OrphanedVersion

    public var workspace: HandedWorkspace
    public var branch: String
    public var epoch: Int64

    public init(workspace: HandedWorkspace, branch: String, epoch: Int64) {
        self.workspace = workspace
        self.branch = branch
        self.epoch = epoch
    }
}

public struct OrphanedVersion: Sendable, Equatable, Codable {
    public var branch: String
    public var commit: String?

    public init(branch: String, commit: String?) {
        self.branch = branch
        self.commit = commit
    }
}
