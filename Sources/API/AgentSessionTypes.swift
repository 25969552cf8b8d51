public import Base
public import Domain

/// `POST /v1/workspaces/{workspaceId}/agent-sessions`.
public struct CreateAgentSession: Sendable, Codable, Equatable {
    /// nil: the agent's name, with a number where it is taken.
    public var name: String?
    /// `claude`, `codex`, `acp` or `command`; nil: claude.
    public var agent: AgentKind?
    /// nil: feature.
    public var workflow: String?
    /// Program and arguments of `acp` and `command`.
    public var command: [String]?
    /// Added to the agent's own instructions.
    public var instructions: String?
    public var model: String?
    /// nil: default.
    public var permissionMode: String?
    /// The first message.
    public var prompt: String?
    /// How long a permission or a question waits; nil: 300 s.
    public var requestTimeoutMs: Int64?

    public init(
        name: String? = nil,
        agent: AgentKind? = nil,
        workflow: String? = nil,
        command: [String]? = nil,
        instructions: String? = nil,
        model: String? = nil,
        permissionMode: String? = nil,
        prompt: String? = nil,
        requestTimeoutMs: Int64? = nil
    ) {
        self.name = name
        self.agent = agent
        self.workflow = workflow
        self.command = command
        self.instructions = instructions
        self.model = model
        self.permissionMode = permissionMode
        self.prompt = prompt
        self.requestTimeoutMs = requestTimeoutMs
    }
}

/// `POST …/messages`.
public struct SendMessage: Sendable, Codable, Equatable {
    public var text: String
    /// Chosen by the caller, so that a repeated request sends one.
    public var id: SessionMessageID?

    public init(text: String, id: SessionMessageID? = nil) {
        self.text = text
        self.id = id
    }
}

/// `POST …/requests/{requestId}/answer`.
public struct AnswerRequest: Sendable, Codable, Equatable {
    public var decision: SessionAnswer.Decision
    /// To a question: by the id of its part.
    public var answers: [String: String]?
    /// Why not, or what instead; the agent reads it.
    public var message: String?

    public init(decision: SessionAnswer.Decision, answers: [String: String]? = nil, message: String? = nil) {
        self.decision = decision
        self.answers = answers
        self.message = message
    }
}

/// `PUT …/settings`.
public struct ChangeAgentSession: Sendable, Codable, Equatable {
    public var model: String?
    public var permissionMode: String?

    public init(model: String? = nil, permissionMode: String? = nil) {
        self.model = model
        self.permissionMode = permissionMode
    }
}
