public import Base
public import Domain

/// All that is durable of an agent session, besides its log. Changed by ``SessionMachine`` alone.
public struct SessionRecord: Sendable, Codable, Equatable {
    public let id: AgentSessionID
    public internal(set) var workspaceId: WorkspaceID
    public internal(set) var name: String
    public let agent: AgentKind
    public let workflow: String
    /// Program and arguments, for agents that are any program.
    public let command: [String]?
    /// Added to the agent's own instructions.
    public let instructions: String?
    /// The checkout, absolute.
    public internal(set) var directory: String
    public let requestTimeoutMs: Int64
    public let createdAt: Timestamp
    public internal(set) var changedAt: Timestamp

    /// The model that was asked for; nil: the agent's own choice.
    public internal(set) var model: String?
    /// The model that the agent tells of.
    public internal(set) var usedModel: String?
    public internal(set) var permissionMode: PermissionMode
    public internal(set) var agentSessionID: String?
    public internal(set) var transcriptPath: String?
    public internal(set) var codec: SessionCodec

    public internal(set) var process = SessionProcess.none
    /// Counts the processes; part of the holder's name of each.
    public internal(set) var run = 0
    /// Bytes of the present run's output that the log has in it.
    public internal(set) var cursor: Int64 = 0
    /// Lines for the agent that are not known to be written. After the worker's death they are written again.
    public internal(set) var outbox: [OutboxLine] = []
    var nextLine: Int64 = 1

    public internal(set) var turn: SessionTurn?
    public internal(set) var turns = 0
    public internal(set) var queue: [SessionMessage] = []
    /// The queue waits for the next message.
    public internal(set) var isHeld = false
    public internal(set) var requests: [SessionRequest] = []
    public internal(set) var failure: FailureReason?
    public internal(set) var usage = AgentUsage()
    public internal(set) var isStopped = false
    public internal(set) var isFrozen = false
    public internal(set) var lastSequence: Int64 = 0

    public init(
        id: AgentSessionID,
        workspaceId: WorkspaceID,
        name: String,
        agent: AgentKind,
        workflow: String,
        command: [String]?,
        instructions: String?,
        directory: String,
        model: String?,
        permissionMode: PermissionMode,
        requestTimeoutMs: Int64,
        createdAt: Timestamp
    ) throws(BerthError) {
        self.id = id
        self.workspaceId = workspaceId
        self.name = name
        self.agent = agent
        self.workflow = workflow
        self.command = command
        self.instructions = instructions
        self.directory = directory
        self.model = model
        self.permissionMode = permissionMode
        self.requestTimeoutMs = requestTimeoutMs
        self.createdAt = createdAt
        changedAt = createdAt
        codec = try SessionCodec(agent)
    }

    public var context: AgentContext {
        AgentContext(
            directory: directory,
            model: model,
            permissionMode: permissionMode,
            agentSessionID: agentSessionID,
            command: command,
            instructions: instructions
        )
    }

    /// The holder's name of the present process.
    public var child: String { "\(id.text):\(run)" }

    public var status: AgentSessionStatus {
        if isFrozen { return .paused }
        if turn != nil || !queue.isEmpty && !isHeld { return .running }
        if isStopped { return .completed }
        return failure == nil ? .idle : .failed
    }

    public var activity: AgentActivity {
        if !requests.isEmpty { return .needsInput }
        if status == .running { return .working }
        if failure != nil { return .error }
        return turns > 0 ? .done : .idle
    }

    /// When ``SessionMachine/tick()`` has something to do.
    public var deadline: Timestamp? {
        var times = requests.map(\.expiresAt)
        switch process {
        case .none, .ready: break
        case .starting(let at): times.append(at + AgentSessionLimits.startTime)
        case .stopping(let at): times.append(at + AgentSessionLimits.killGrace * 2)
        }
        if let at = turn?.interruptedAt { times.append(at + AgentSessionLimits.interruptTime) }
        return times.min()
    }

    public var view: AgentSession {
        AgentSession(
            id: id,
            workspaceId: workspaceId,
            name: name,
            agent: agent,
            workflow: workflow,
            status: status,
            activity: activity,
            model: usedModel ?? model,
            permissionMode: permissionMode.rawValue,
            agentSessionId: agentSessionID,
            transcriptPath: transcriptPath,
            directory: directory,
            turns: turns,
            turnStartedAt: turn?.startedAt,
            queue: queue,
            isQueueHeld: isHeld,
            requests: requests,
            failure: failure,
            usage: usage,
            lastSequence: lastSequence,
            createdAt: createdAt,
            changedAt: changedAt
        )
    }
}

/// The agent's process.
public enum SessionProcess: Sendable, Codable, Equatable {
    case none  // → starting
    /// Being started, or not yet ready for messages.
    case starting(at: Timestamp)  // → ready, stopping, none
    case ready  // → stopping, none
    /// Told to end.
    case stopping(at: Timestamp)  // → none
}

/// A message that the agent works at.
public struct SessionTurn: Sendable, Codable, Equatable {
    public var number: Int
    public var message: SessionMessage
    public var startedAt: Timestamp
    /// Somebody has interrupted it.
    public var interruptedAt: Timestamp?
    public var usage = AgentUsage()
}

public struct OutboxLine: Sendable, Codable, Equatable {
    public var number: Int64
    /// Without its newline.
    public var text: String
}

/// What is to be done after a ``SessionMachine`` has spoken, in this order and once its record is durable.
public enum SessionEffect: Sendable, Equatable {
    /// Start the record's ``SessionRecord/child``.
    case start
    /// Write what is in the outbox.
    case write
    case terminate(grace: Duration)
}
