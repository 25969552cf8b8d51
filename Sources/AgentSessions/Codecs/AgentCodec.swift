public import Base
public import Domain

/// What a codec needs to know of its session.
public struct AgentContext: Sendable {
    /// The checkout, absolute.
    public var directory: String
    public var model: String?
    public var permissionMode: PermissionMode
    /// The conversation to take up.
    public var agentSessionID: String?
    /// Program and arguments, for agents that are any program.
    public var command: [String]?
    public var instructions: String?
}

/// How an agent's process is started.
public struct SessionLaunch: Sendable, Equatable {
    public var arguments: [String]
    public var variables: [String: String] = [:]
    /// Variables that must not reach the agent.
    public var removed: [String] = []
    /// Standard input from its start to its end; nil: a pipe that the codec's lines go to.
    public var input: [UInt8]?
}

/// What an agent said, in terms of sessions.
public enum AgentSignal: Sendable, Equatable {
    /// It takes messages.
    case ready
    case event(SessionEvent)
    /// Its own name of the conversation, and the file of it.
    case conversation(id: String, transcript: String?)
    case model(String)
    case permissionMode(String)
    /// It has begun with the message that was handed to it.
    case accepted
    case asked(SessionRequest)
    /// It does not want the answer any more.
    case unasked(String)
    case usage(AgentUsage)
    /// - Parameter failure: nil where it ended well, or was interrupted.
    case turnEnded(FailureReason?)
}

/// What reading a line came to.
public struct AgentReading: Sendable, Equatable {
    public var signals: [AgentSignal] = []
    /// Lines to say in turn, without their newline.
    public var lines: [[UInt8]] = []

    public init(_ signals: [AgentSignal] = [], lines: [[UInt8]] = []) {
        self.signals = signals
        self.lines = lines
    }
}

/// How an agent's process ended.
public enum AgentExit: Sendable, Equatable {
    case code(Int32)
    case signal(Int32)
    /// With its environment.
    case lost
}

/// The words of one kind of agent, both ways. Pure: what it must remember is in it, and travels with the session's row.
public protocol AgentCodec: Sendable, Codable, Equatable {
    /// Each turn is a process of its own, whose end is the turn's.
    var hasProcessPerTurn: Bool { get }

    /// - Parameter message: of the turn, with ``hasProcessPerTurn``.
    func launch(_ context: AgentContext, message: String?) throws(BerthError) -> SessionLaunch

    /// What is said to a new process first. Forgets what belonged to the one before.
    mutating func open(_ context: AgentContext) -> [[UInt8]]
    mutating func read(_ line: [UInt8], _ context: AgentContext) -> AgentReading
    /// Nothing more is there now: what was gathered, where it should be seen at once.
    mutating func pause() -> [AgentSignal]
    mutating func say(_ message: SessionMessage, _ context: AgentContext) -> [[UInt8]]
    mutating func answer(_ request: SessionRequest, _ answer: SessionAnswer) -> [[UInt8]]
    mutating func interrupt() -> [[UInt8]]
    /// While it runs; nil: it can be changed only with a new process. Throws `unsupported` for what it has not.
    mutating func change(_ change: SessionChange) throws(BerthError) -> [[UInt8]]?
    /// Why a process that should not have ended did.
    /// - Parameter errors: the end of its standard error.
    func explain(_ exit: AgentExit, errors: String) -> FailureReason
}

/// New settings; nil leaves as it is.
public struct SessionChange: Sendable, Codable, Equatable {
    public var model: String?
    public var permissionMode: PermissionMode?

    public init(model: String? = nil, permissionMode: PermissionMode? = nil) {
        self.model = model
        self.permissionMode = permissionMode
    }
}

extension AgentCodec {
    public mutating func pause() -> [AgentSignal] { [] }

    func explained(_ name: String, _ exit: AgentExit, _ errors: String) -> FailureReason {
        let lines = errors.split(whereSeparator: \.isNewline)
        let last = lines.last.map { String($0).trimmed.prefix(400) } ?? ""
        let said = last.isEmpty ? "" : ": \(last)"
        return switch exit {
        case .code(let code): FailureReason(.agentFailed, "\(name) exited with status \(code)\(said)")
        case .signal(9):
            FailureReason(
                .agentFailed,
                "\(name) was killed (signal 9), as the kernel does when an environment's memory is used up"
            )
        case .signal(let signal): FailureReason(.agentFailed, "\(name) was ended by signal \(signal)\(said)")
        case .lost:
            FailureReason(
                .environmentLost,
                "\(name) ended with its environment",
                remedy: "send a message: the conversation goes on where it was"
            )
        }
    }
}

/// The codecs there are. One of them, with what it remembers, is part of a session's row.
public enum SessionCodec: Sendable, Codable, Equatable {
    case claude(ClaudeCodec)
    case codex(CodexCodec)
    case acp(ACPCodec)
    case command(CommandCodec)

    public init(_ kind: AgentKind) throws(BerthError) {
        switch kind {
        case .claude: self = .claude(ClaudeCodec())
        case .codex: self = .codex(CodexCodec())
        case .acp: self = .acp(ACPCodec())
        case .command: self = .command(CommandCodec())
        default:
            throw BerthError(
                .unsupported,
                "this worker holds no sessions with the agent '\(kind)'",
                field: "agent",
                remedy: "known here: \(AgentKind.conversing.map(\.rawValue).joined(separator: ", "))"
            )
        }
    }

    public var codec: any AgentCodec {
        get {
            switch self {
            case .claude(let codec): codec
            case .codex(let codec): codec
            case .acp(let codec): codec
            case .command(let codec): codec
            }
        }
        set {
            switch newValue {
            case let codec as ClaudeCodec: self = .claude(codec)
            case let codec as CodexCodec: self = .codex(codec)
            case let codec as ACPCodec: self = .acp(codec)
            case let codec as CommandCodec: self = .command(codec)
            default: break
            }
        }
    }
}
