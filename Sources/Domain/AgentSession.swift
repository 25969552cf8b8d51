public import Base

public enum AgentSessionKind: IdentifierKind { public static let prefix = "sess" }
public enum SessionMessageKind: IdentifierKind { public static let prefix = "msg" }

public typealias AgentSessionID = Identifier<AgentSessionKind>
public typealias SessionMessageID = Identifier<SessionMessageKind>

public enum AgentSessionStatus: String, Sendable, Codable, CaseIterable {
    /// Waits for a message.
    case idle = "IDLE"
    /// A turn runs.
    case running = "RUNNING"
    /// Frozen: its workspace is being handed over.
    case paused = "PAUSED"
    /// Stopped by somebody; a message takes it up again.
    case completed = "COMPLETED"
    /// Its last turn failed; a message tries again.
    case failed = "FAILED"
}

/// What somebody who looks at many sessions wants to know first.
public enum AgentActivity: String, Sendable, Codable, CaseIterable {
    case idle, working, needsInput, done, error
}

/// Limits of agent sessions. Source: origins 1.6 and 6.
public enum AgentSessionLimits {
    /// Sessions of a workspace that were not stopped.
    public static let perWorkspace = 5
    /// Messages that wait for their turn.
    public static let queuedMessages = 100
    /// Bytes of one message.
    public static let messageBytes = 1 << 20
    /// How long a permission, a plan or a question waits for a person.
    public static let requestTimeoutMs: Int64 = 300_000
    /// How long an agent may take to come up.
    public static let startTime = Duration.seconds(60)
    /// How long an agent may take to obey an interrupt before it is killed.
    public static let interruptTime = Duration.seconds(5)
    /// How long a process may last after being told to end.
    public static let killGrace = Duration.seconds(5)
    /// One line of an agent; a longer one is passed over, and said so.
    public static let lineBytes = 16 << 20
    /// What the log keeps of one text.
    public static let textBytes = 256 << 10
}

/// A message of a person's to an agent.
public struct SessionMessage: Sendable, Codable, Equatable {
    public enum State: String, Sendable, Codable {
        /// Waits for its turn; may be withdrawn.
        case pending = "PENDING"
        /// Handed to the agent.
        case sent = "SENT"
        /// The agent works at it.
        case accepted = "ACCEPTED"
        /// Its turn has ended.
        case committed = "COMMITTED"
        case failed = "FAILED"
        /// Withdrawn before its turn.
        case cancelled = "CANCELLED"
    }

    public var id: SessionMessageID
    public var text: String
    public var state: State
    public var at: Timestamp

    public init(id: SessionMessageID, text: String, state: State = .pending, at: Timestamp) {
        self.id = id
        self.text = text
        self.state = state
        self.at = at
    }
}

/// What an agent wants from a person before it goes on.
public struct SessionRequest: Sendable, Codable, Equatable {
    public enum Kind: String, Sendable, Codable {
        /// May a tool be used?
        case permission
        /// Choices, or free words.
        case question
        /// Is this plan to be carried out?
        case plan
    }

    /// One of a question's parts.
    public struct Question: Sendable, Codable, Equatable {
        /// What its answer is filed under.
        public var id: String
        public var header: String?
        public var text: String
        public var options: [Option]
        public var allowsSeveral: Bool

        public init(id: String, header: String? = nil, text: String, options: [Option], allowsSeveral: Bool = false) {
            self.id = id
            self.header = header
            self.text = text
            self.options = options
            self.allowsSeveral = allowsSeveral
        }
    }

    public struct Option: Sendable, Codable, Equatable {
        public var id: String
        public var label: String
        public var about: String?

        public init(id: String, label: String, about: String? = nil) {
            self.id = id
            self.label = label
            self.about = about
        }
    }

    /// The agent's own.
    public var id: String
    public var kind: Kind
    /// The tool that it is about.
    public var tool: String?
    /// Of the tool call, where the agent gives it.
    public var toolCallId: String?
    /// For people: the command, the path, the reason.
    public var title: String
    /// The tool's input.
    public var input: JSONValue?
    public var plan: String?
    public var questions: [Question]
    /// Whether "always" may be answered.
    public var allowsAlways: Bool
    public var askedAt: Timestamp
    /// When it ends as denied.
    public var expiresAt: Timestamp

    public init(
        id: String,
        kind: Kind,
        tool: String? = nil,
        toolCallId: String? = nil,
        title: String,
        input: JSONValue? = nil,
        plan: String? = nil,
        questions: [Question] = [],
        allowsAlways: Bool = false,
        askedAt: Timestamp = Timestamp(milliseconds: 0),
        expiresAt: Timestamp = Timestamp(milliseconds: 0)
    ) {
        self.id = id
        self.kind = kind
        self.tool = tool
        self.toolCallId = toolCallId
        self.title = title
        self.input = input
        self.plan = plan
        self.questions = questions
        self.allowsAlways = allowsAlways
        self.askedAt = askedAt
        self.expiresAt = expiresAt
    }
}

/// What became of a ``SessionRequest``.
public struct SessionAnswer: Sendable, Codable, Equatable {
    public enum Decision: String, Sendable, Codable {
        case allow, allowAlways, deny
    }

    /// Who decided.
    public enum Origin: String, Sendable, Codable {
        case person
        /// The tool only reads, or the permission mode allows it.
        case policy
        /// Nobody answered in time.
        case timeout
        /// The turn was interrupted.
        case interrupt
        /// The agent took its request back, or ended.
        case agent
    }

    public var decision: Decision
    /// To a question, by the id of its part.
    public var answers: [String: String]?
    /// Why not, or what instead; the agent reads it.
    public var message: String?
    public var by: Origin

    public init(
        _ decision: Decision,
        answers: [String: String]? = nil,
        message: String? = nil,
        by: Origin = .person
    ) {
        self.decision = decision
        self.answers = answers
        self.message = message
        self.by = by
    }
}

/// An agent's conversation in a workspace, as everybody sees it.
public struct AgentSession: Sendable, Codable, Equatable {
    public var id: AgentSessionID
    public var workspaceId: WorkspaceID
    /// Unique in its workspace among those that were not stopped.
    public var name: String
    public var agent: AgentKind
    /// `explore`, `feature`, `bugfix`, `ratchet`, …: what the session is for.
    public var workflow: String
    public var status: AgentSessionStatus
    public var activity: AgentActivity
    public var model: String?
    public var permissionMode: String
    /// The agent's own name of the conversation, by which it resumes.
    public var agentSessionId: String?
    /// The agent's own file of the conversation, in the environment.
    public var transcriptPath: String?
    public var directory: String
    /// Turns so far, the one that runs included.
    public var turns: Int
    /// When the present turn began.
    public var turnStartedAt: Timestamp?
    /// Messages that wait for their turn, oldest first.
    public var queue: [SessionMessage]
    /// The queue waits for the next message: a turn was interrupted, or failed.
    public var isQueueHeld: Bool
    /// What the agent waits for.
    public var requests: [SessionRequest]
    public var failure: FailureReason?
    public var usage: AgentUsage
    /// Sequence number of the newest event; 0: none.
    public var lastSequence: Int64
    public var createdAt: Timestamp
    public var changedAt: Timestamp

    public init(
        id: AgentSessionID,
        workspaceId: WorkspaceID,
        name: String,
        agent: AgentKind,
        workflow: String,
        status: AgentSessionStatus,
        activity: AgentActivity,
        model: String?,
        permissionMode: String,
        agentSessionId: String?,
        transcriptPath: String?,
        directory: String,
        turns: Int,
        turnStartedAt: Timestamp?,
        queue: [SessionMessage],
        isQueueHeld: Bool,
        requests: [SessionRequest],
        failure: FailureReason?,
        usage: AgentUsage,
        lastSequence: Int64,
        createdAt: Timestamp,
        changedAt: Timestamp
    ) {
        self.id = id
        self.workspaceId = workspaceId
        self.name = name
        self.agent = agent
        self.workflow = workflow
        self.status = status
        self.activity = activity
        self.model = model
        self.permissionMode = permissionMode
        self.agentSessionId = agentSessionId
        self.transcriptPath = transcriptPath
        self.directory = directory
        self.turns = turns
        self.turnStartedAt = turnStartedAt
        self.queue = queue
        self.isQueueHeld = isQueueHeld
        self.requests = requests
        self.failure = failure
        self.usage = usage
        self.lastSequence = lastSequence
        self.createdAt = createdAt
        self.changedAt = changedAt
    }
}
