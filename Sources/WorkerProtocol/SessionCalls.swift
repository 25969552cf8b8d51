public import Base
public import Domain

/// Begins an agent session in a workspace, its agent with it.
public struct SessionCreation: Sendable, Equatable, ServiceCall {
    public static let service = "session.create"
    public typealias Answer = AgentSession

    /// Chosen by the server, so that a repeated call makes one.
    public var id: AgentSessionID
    public var workspaceId: WorkspaceID
    /// Of that workspace, under the environment's workspace root.
    public var workspaceDirectory: String
    /// nil: the first free one.
    public var name: String?
    public var agent: AgentKind
    public var workflow: String
    public var command: [String]?
    public var instructions: String?
    public var model: String?
    public var permissionMode: String
    public var requestTimeoutMs: Int64
    /// Sessions of the workspace that may be there, this one included.
    public var limit: Int

    public init(
        id: AgentSessionID,
        workspaceId: WorkspaceID,
        workspaceDirectory: String,
        name: String?,
        agent: AgentKind,
        workflow: String,
        command: [String]?,
        instructions: String?,
        model: String?,
        permissionMode: String,
        requestTimeoutMs: Int64,
        limit: Int
    ) {
        self.id = id
        self.workspaceId = workspaceId
        self.workspaceDirectory = workspaceDirectory
        self.name = name
        self.agent = agent
        self.workflow = workflow
        self.command = command
        self.instructions = instructions
        self.model = model
        self.permissionMode = permissionMode
        self.requestTimeoutMs = requestTimeoutMs
        self.limit = limit
    }
}

/// The sessions of a workspace, oldest first; nil: of all workspaces of the environment.
public struct SessionListing: Sendable, Equatable, ServiceCall {
    public static let service = "session.list"
    public static let isUse = false
    public typealias Answer = [AgentSession]

    public var workspaceId: WorkspaceID?

    public init(workspaceId: WorkspaceID?) { self.workspaceId = workspaceId }
}

/// What somebody does with a session.
public struct SessionDeed: Sendable, Equatable, ServiceCall {
    public static let service = "session.do"
    public typealias Answer = AgentSession

    /// One of its members is set.
    public struct Deed: Sendable, Equatable, Codable {
        public var send: Words?
        public var withdraw: SessionMessageID?
        public var answer: Reply?
        public var interrupt: ServiceDone?
        public var change: Settings?
        public var stop: ServiceDone?
        /// Stops it and takes its log away.
        public var remove: ServiceDone?

        public init(
            send: Words? = nil,
            withdraw: SessionMessageID? = nil,
            answer: Reply? = nil,
            interrupt: ServiceDone? = nil,
            change: Settings? = nil,
            stop: ServiceDone? = nil,
            remove: ServiceDone? = nil
        ) {
            self.send = send
            self.withdraw = withdraw
            self.answer = answer
            self.interrupt = interrupt
            self.change = change
            self.stop = stop
            self.remove = remove
        }
    }

    public struct Words: Sendable, Equatable, Codable {
        public var id: SessionMessageID
        public var text: String

        public init(id: SessionMessageID, text: String) {
            self.id = id
            self.text = text
        }
    }

    public struct Reply: Sendable, Equatable, Codable {
        public var requestId: String
        public var answer: SessionAnswer

        public init(requestId: String, answer: SessionAnswer) {
            self.requestId = requestId
            self.answer = answer
        }
    }

    public struct Settings: Sendable, Equatable, Codable {
        public var model: String?
        public var permissionMode: String?

        public init(model: String?, permissionMode: String?) {
            self.model = model
            self.permissionMode = permissionMode
        }
    }

    public var id: AgentSessionID
    public var deed: Deed

    public init(id: AgentSessionID, _ deed: Deed) {
        self.id = id
        self.deed = deed
    }
}

/// Follows a session; its channel carries lines (UTF-8, ended by a newline):
///
///     session JSON      the ``AgentSession`` as it is now; first of all, and after each change
///     event SEQ JSON    a ``SessionEvent``, in the order of `SEQ`
///     snapshot SEQ      what was there at the beginning has been told
public struct SessionAttachment: Sendable, Equatable, ServiceCall {
    public static let service = "session.events"
    public typealias Answer = ServiceDone

    public var id: AgentSessionID
    /// Only events behind this one; negative: the last so many.
    public var after: Int64
    /// false: ends after the snapshot.
    public var follows: Bool

    public init(id: AgentSessionID, after: Int64, follows: Bool) {
        self.id = id
        self.after = after
        self.follows = follows
    }
}
