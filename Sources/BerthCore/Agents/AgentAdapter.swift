public import Base
public import Domain

/// What an agent is asked to do, apart from where its checkout came from.
public struct AgentRequest: Sendable {
    public var kind: AgentKind
    public var prompt: String
    /// The argument vector of a `command` agent.
    public var command: [String]?
    public var model: String?
    public var caps: RunCaps
    /// Continue the agent's own conversation.
    public var resumeAgentSessionID: String?

    public init(
        kind: AgentKind,
        prompt: String,
        command: [String]? = nil,
        model: String? = nil,
        caps: RunCaps = RunCaps(),
        resumeAgentSessionID: String? = nil
    ) {
        self.kind = kind
        self.prompt = prompt
        self.command = command
        self.model = model
        self.caps = caps
        self.resumeAgentSessionID = resumeAgentSessionID
    }
}

/// How an agent's process is started.
public struct AgentLaunch: Sendable, Equatable {
    public var arguments: [String]
    /// Standard input from its start to its end; nil is `/dev/null`.
    public var input: [UInt8]?
    /// What the agent needs in its environment; the request's own variables win over these.
    public var defaults: [String: String]
    /// Variables that contradict the ones given, so must not reach the agent.
    public var removed: [String]
}

/// One kind of agent: pure knowledge of its command line.
public protocol AgentAdapter: Sendable {
    /// - Parameter variables: names of the variables that the request brings along.
    func launch(_ request: AgentRequest, variables: Set<String>) throws(BerthError) -> AgentLaunch
}

public enum AgentAdapters {
    public static func adapter(for kind: AgentKind) throws(BerthError) -> any AgentAdapter {
        switch kind {
        case .command: return CommandAgent()
        case .claude: return ClaudeAgent()
        default:
            throw BerthError(
                .unsupported,
                "this worker does not know the agent '\(kind)'",
                field: "agent.kind",
                remedy: "known here: \(AgentKind.known.map(\.rawValue).joined(separator: ", "))"
            )
        }
    }
}
