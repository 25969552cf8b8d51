public import AgentProtocol
import Base

/// One program to run to its end, with its output kept in memory.
public struct ProcessCommand: Sendable {
    /// Whose rights it runs with.
    public enum Identity: Sendable, Equatable {
        /// Berth's own, for work with credentials in directories that agents cannot write.
        case worker
        /// The agent's, for everything that touches what an agent wrote.
        case agent
    }

    public var arguments: [String]
    /// The whole environment; nothing is inherited.
    public var environment: [String: String]
    public var directory: String
    public var identity: Identity
    public var deadline: Duration
    /// Of standard output, in bytes; more is a `tooLarge` error. Of standard error the last 64 KiB are kept.
    public var outputLimit: Int

    public init(
        _ arguments: [String],
        environment: [String: String],
        directory: String,
        identity: Identity,
        deadline: Duration = .seconds(60),
        outputLimit: Int = 16 << 20
    ) {
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        self.identity = identity
        self.deadline = deadline
        self.outputLimit = outputLimit
    }
}

public struct ProcessResult: Sendable {
    public var end: ProcessEnd
    public var output: [UInt8]
    public var errors: [UInt8]

    public init(end: ProcessEnd, output: [UInt8], errors: [UInt8]) {
        self.end = end
        self.output = output
        self.errors = errors
    }

    public var succeeded: Bool { end == .exited(0) }
    public var outputText: String { String(decoding: output, as: UTF8.self) }
    public var errorText: String { String(decoding: errors, as: UTF8.self) }
}

/// Runs programs: through the holder in an environment, directly in tests.
public protocol ProcessRunner: Sendable {
    /// - Throws: `agentMissing` when there is no such program, `timedOut` at the deadline; when the task is cancelled,
    ///   `CancellationError`. The program and its children are gone when this returns.
    func run(_ command: ProcessCommand) async throws -> ProcessResult
}
