public import Base

/// One process inside an environment.
public struct EnvironmentProcess: Sendable, Codable, Equatable {
    public var pid: Int32
    public var parent: Int32
    public var user: String
    /// One letter, as in proc(5): R, S, D, T, Z, …
    public var state: String
    /// Of its own, in milliseconds.
    public var cpuMs: Int64
    /// Resident.
    public var memoryBytes: Int64
    public var startedAt: Timestamp
    public var command: String
    /// To what it belongs: an execution, a terminal, an agent session by its id; `ssh`, `file` for connections; nil for
    /// what has left its owner behind.
    public var owner: String?
    /// Whether a caller may signal it: Berth's own may not.
    public var isSignallable: Bool

    public init(
        pid: Int32,
        parent: Int32,
        user: String,
        state: String,
        cpuMs: Int64,
        memoryBytes: Int64,
        startedAt: Timestamp,
        command: String,
        owner: String?,
        isSignallable: Bool
    ) {
        self.pid = pid
        self.parent = parent
        self.user = user
        self.state = state
        self.cpuMs = cpuMs
        self.memoryBytes = memoryBytes
        self.startedAt = startedAt
        self.command = command
        self.owner = owner
        self.isSignallable = isSignallable
    }
}
