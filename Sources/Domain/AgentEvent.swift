/// One thing that an agent did, parsed from its output. The same model for every adapter.
public enum AgentEvent: Sendable, Equatable {
    /// The agent is up: its own session id (to resume the conversation) and its model.
    case started(agentSessionID: String?, model: String?, tools: [String])
    case text(String)
    case thinking(String)
    /// `input` is the tool's JSON input as text.
    case toolCall(id: String, name: String, input: String)
    case toolResult(id: String, content: String, isError: Bool)
    case usage(AgentUsage)
    /// The agent's own verdict at its end.
    case result(AgentVerdict)
    /// A line that is not the agent's protocol, or an event of a kind not known here; kept as it is.
    case other(type: String, json: String)
}

public struct AgentVerdict: Sendable, Codable, Equatable {
    public var isError: Bool
    /// The agent's own word: `success`, `error_max_turns`, `error_max_budget_usd`, `error_during_execution`, …
    public var subtype: String
    public var text: String?
    public var usage: AgentUsage
    public var durationMs: Int64?
    public var agentSessionID: String?
    /// HTTP status of the model endpoint where the agent reports one.
    public var endpointStatus: Int?

    public init(
        isError: Bool,
        subtype: String,
        text: String? = nil,
        usage: AgentUsage = AgentUsage(),
        durationMs: Int64? = nil,
        agentSessionID: String? = nil,
        endpointStatus: Int? = nil
    ) {
        self.isError = isError
        self.subtype = subtype
        self.text = text
        self.usage = usage
        self.durationMs = durationMs
        self.agentSessionID = agentSessionID
        self.endpointStatus = endpointStatus
    }
}
