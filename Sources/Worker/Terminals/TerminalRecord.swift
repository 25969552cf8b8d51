internal import Base
internal import Domain
internal import WorkerProtocol

/// What is durable of a terminal, besides its bytes.
struct TerminalRecord: Sendable, Codable, Equatable {
    var id: TerminalID
    var name: String
    var workspaceId: WorkspaceID?
    var command: [String]
    var directory: String
    /// The size that it has, so that a restarted worker tells it.
    var size: TerminalSize
    var createdAt: Timestamp
    var endedAt: Timestamp?
    var exit: TerminalExit?
}
