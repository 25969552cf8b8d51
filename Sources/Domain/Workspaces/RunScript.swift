public import Base

/// How the run script of a workspace stands.
public enum RunScriptState: String, Sendable, Codable, CaseIterable {
    case idle = "IDLE"
    /// It runs, and listens nowhere yet.
    case starting = "STARTING"
    case running = "RUNNING"
    case completed = "COMPLETED"
    case failed = "FAILED"
}

public struct RunScriptStatus: Sendable, Codable, Equatable {
    public var state: RunScriptState
    /// nil: the repository names none.
    public var command: String?
    /// The terminal it runs on; attach to it for its output.
    public var terminalId: TerminalID?
    public var startedAt: Timestamp?
    public var endedAt: Timestamp?
    public var exitCode: Int32?
    public var signal: Int32?
    /// TCP ports that its processes listen on; the one that it was given, or its repository names, first.
    public var ports: [Int]

    public init(
        state: RunScriptState,
        command: String? = nil,
        terminalId: TerminalID? = nil,
        startedAt: Timestamp? = nil,
        endedAt: Timestamp? = nil,
        exitCode: Int32? = nil,
        signal: Int32? = nil,
        ports: [Int] = []
    ) {
        self.state = state
        self.command = command
        self.terminalId = terminalId
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.exitCode = exitCode
        self.signal = signal
        self.ports = ports
    }
}
