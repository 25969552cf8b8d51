public import Base

/// `POST /v1/environments/{environmentId}/terminals`.
public struct CreateTerminal: Sendable, Codable, Equatable {
    /// nil: `shell`, `shell-2`, …
    public var name: String?
    /// Its program begins in this workspace's checkout.
    public var workspaceId: WorkspaceID?
    /// Program and arguments; nil: the user's login shell.
    public var command: [String]?
    /// Absolute, or within the workspace or the home directory.
    public var directory: String?
    public var columns: Int?
    public var rows: Int?

    public init(
        name: String? = nil,
        workspaceId: WorkspaceID? = nil,
        command: [String]? = nil,
        directory: String? = nil,
        columns: Int? = nil,
        rows: Int? = nil
    ) {
        self.name = name
        self.workspaceId = workspaceId
        self.command = command
        self.directory = directory
        self.columns = columns
        self.rows = rows
    }
}

/// A program on a terminal in an environment. It outlives the server, its worker and everyone who looks at it.
public struct TerminalSession: Sendable, Codable, Equatable {
    public var id: TerminalID
    public var environmentId: EnvironmentID
    public var workspaceId: WorkspaceID?
    public var name: String
    /// `running` or `ended`.
    public var status: String
    public var command: [String]
    public var directory: String
    public var columns: Int
    public var rows: Int
    public var createdAt: Timestamp
    public var endedAt: Timestamp?
    public var exitCode: Int?
    public var signal: Int?
    /// Offset of the oldest byte that is kept, counted from the terminal's first.
    public var firstByte: Int64
    public var endByte: Int64
    public var viewers: Int

    public init(
        id: TerminalID,
        environmentId: EnvironmentID,
        workspaceId: WorkspaceID?,
        name: String,
        status: String,
        command: [String],
        directory: String,
        columns: Int,
        rows: Int,
        createdAt: Timestamp,
        endedAt: Timestamp?,
        exitCode: Int?,
        signal: Int?,
        firstByte: Int64,
        endByte: Int64,
        viewers: Int
    ) {
        self.id = id
        self.environmentId = environmentId
        self.workspaceId = workspaceId
        self.name = name
        self.status = status
        self.command = command
        self.directory = directory
        self.columns = columns
        self.rows = rows
        self.createdAt = createdAt
        self.endedAt = endedAt
        self.exitCode = exitCode
        self.signal = signal
        self.firstByte = firstByte
        self.endByte = endByte
        self.viewers = viewers
    }
}
