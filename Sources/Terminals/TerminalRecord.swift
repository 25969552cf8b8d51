public import Base
public import Domain

/// What is durable of a terminal, besides its bytes.
public struct TerminalRecord: Sendable, Codable, Equatable {
    public var id: TerminalID
    public var name: String
    public var workspaceId: WorkspaceID?
    public var command: [String]
    public var directory: String
    /// The size that it has, so that a restarted worker tells it.
    public var size: TerminalSize
    public var createdAt: Timestamp
    public var endedAt: Timestamp?
    public var exit: TerminalExit?

    public init(
        id: TerminalID,
        name: String,
        workspaceId: WorkspaceID?,
        command: [String],
        directory: String,
        size: TerminalSize,
        createdAt: Timestamp
    ) {
        self.id = id
        self.name = name
        self.workspaceId = workspaceId
        self.command = command
        self.directory = directory
        self.size = size
        self.createdAt = createdAt
    }
}
