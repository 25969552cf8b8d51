public import Base
public import Domain

/// Starts a program on a terminal of its own.
public struct TerminalCreation: Sendable, Equatable, ServiceCall {
    public static let service = "terminal.create"
    public typealias Answer = TerminalStatus

    /// Chosen by the server, so that a repeated call makes one.
    public var id: TerminalID
    public var name: String
    public var workspaceId: WorkspaceID?
    /// Of that workspace, under the environment's workspace root.
    public var workspaceDirectory: String?
    /// Program and arguments; nil: the user's login shell.
    public var command: [String]?
    /// Absolute, or within the workspace or the home directory; nil is that itself.
    public var directory: String?
    public var size: TerminalSize
    /// Of its program, secrets among them; kept nowhere.
    public var variables: [String: String]?

    public init(
        id: TerminalID,
        name: String,
        workspaceId: WorkspaceID? = nil,
        workspaceDirectory: String? = nil,
        command: [String]? = nil,
        directory: String? = nil,
        size: TerminalSize = .standard,
        variables: [String: String]? = nil
    ) {
        self.variables = variables
        self.id = id
        self.name = name
        self.workspaceId = workspaceId
        self.workspaceDirectory = workspaceDirectory
        self.command = command
        self.directory = directory
        self.size = size
    }
}

/// A viewer of a terminal; its channel carries ``TerminalFrame``s.
public struct TerminalAttachment: Sendable, Equatable, ServiceCall {
    public static let service = "terminal.attach"
    public typealias Answer = ServiceDone

    public var id: TerminalID
    /// First byte wanted; negative: so many before the end.
    public var offset: Int64
    public var size: TerminalSize?
    /// Watches only: its input and its size are not taken.
    public var isReadOnly: Bool?
    /// Ends at the last byte that is there now.
    public var isSnapshot: Bool?

    public init(
        id: TerminalID,
        offset: Int64,
        size: TerminalSize? = nil,
        isReadOnly: Bool? = nil,
        isSnapshot: Bool? = nil
    ) {
        self.id = id
        self.offset = offset
        self.size = size
        self.isReadOnly = isReadOnly
        self.isSnapshot = isSnapshot
    }
}

/// A terminal as its worker knows it.
public struct TerminalStatus: Sendable, Equatable, Codable {
    public var id: TerminalID
    public var name: String
    public var workspaceId: WorkspaceID?
    public var command: [String]
    public var directory: String
    public var size: TerminalSize
    public var createdAt: Timestamp
    /// nil while its program runs.
    public var endedAt: Timestamp?
    public var exit: TerminalExit?
    /// Offsets of the bytes that are kept.
    public var firstByte: Int64
    public var endByte: Int64
    public var viewers: Int

    public init(
        id: TerminalID,
        name: String,
        workspaceId: WorkspaceID?,
        command: [String],
        directory: String,
        size: TerminalSize,
        createdAt: Timestamp,
        endedAt: Timestamp?,
        exit: TerminalExit?,
        firstByte: Int64,
        endByte: Int64,
        viewers: Int
    ) {
        self.id = id
        self.name = name
        self.workspaceId = workspaceId
        self.command = command
        self.directory = directory
        self.size = size
        self.createdAt = createdAt
        self.endedAt = endedAt
        self.exit = exit
        self.firstByte = firstByte
        self.endByte = endByte
        self.viewers = viewers
    }
}

/// Every terminal of the environment, oldest first.
public struct TerminalListing: Sendable, Equatable, ServiceCall {
    public static let service = "terminal.list"
    public static let isUse = false
    public typealias Answer = [TerminalStatus]

    public init() {}
}

/// Ends what runs on a terminal; its bytes stay until `remove`, which takes everything.
public struct TerminalEnding: Sendable, Equatable, ServiceCall {
    public static let service = "terminal.end"
    public typealias Answer = TerminalStatus

    public var id: TerminalID
    public var remove: Bool

    public init(id: TerminalID, remove: Bool) {
        self.id = id
        self.remove = remove
    }
}
