public import Base
public import Domain
public import WorkerProtocol

/// What is known of an execution apart from its secrets and its prompt; stored as JSON.
public struct ExecutionSpec: Sendable, Codable, Equatable {
    public var agent: AgentKind
    public var workingDirectory: String?
    public var model: String?
    public var resumeAgentSessionID: String?
    public var caps: RunCaps
    public var retry: RetryPolicy
    /// What its worker must have said in its hello.
    public var capabilities: [String]
    public var workspace: WorkspaceRequest?

    /// What a worker must have, in one text by which the dispatcher groups what waits.
    var needs: String { ([agent.rawValue] + capabilities.sorted()).joined(separator: "\n") }

    public init(
        agent: AgentKind,
        workingDirectory: String? = nil,
        model: String? = nil,
        resumeAgentSessionID: String? = nil,
        caps: RunCaps = RunCaps(),
        retry: RetryPolicy = .never,
        capabilities: [String] = [],
        workspace: WorkspaceRequest? = nil
    ) {
        self.agent = agent
        self.workingDirectory = workingDirectory
        self.model = model
        self.resumeAgentSessionID = resumeAgentSessionID
        self.caps = caps
        self.retry = retry
        self.capabilities = capabilities
        self.workspace = workspace
    }
}

/// A request to run something.
public struct NewExecution: Sendable {
    public var organizationID: OrganizationID
    public var ownerID: UserID
    /// nil: on a worker that stands alone.
    public var environmentID: EnvironmentID?
    public var workspaceID: WorkspaceID?
    public var personaID: String?
    public var spec: ExecutionSpec
    public var prompt: String
    /// The argument vector of a `command` agent.
    public var command: [String]?
    /// Variables of the agent's environment.
    public var environment: Secret<[String: String]>
    public var gitCredentials: Secret<[ServerMessage.GitCredential]>
    /// For a repository behind ssh.
    public var ssh: Secret<ServerMessage.SSHCredential>?
    /// The same key with the same request answers with the first one's execution.
    public var idempotencyKey: String?
    /// The dead letter that it runs again.
    var retryOf: ExecutionID?
    /// The message that asked for it; nil: a request of the API.
    public var origin: ExecutionOrigin?

    public init(
        organizationID: OrganizationID,
        ownerID: UserID,
        environmentID: EnvironmentID?,
        spec: ExecutionSpec,
        prompt: String = "",
        command: [String]? = nil,
        workspaceID: WorkspaceID? = nil,
        personaID: String? = nil,
        environment: Secret<[String: String]> = Secret([:]),
        gitCredentials: Secret<[ServerMessage.GitCredential]> = Secret([]),
        ssh: Secret<ServerMessage.SSHCredential>? = nil,
        idempotencyKey: String? = nil
    ) {
        self.organizationID = organizationID
        self.ownerID = ownerID
        self.environmentID = environmentID
        self.spec = spec
        self.prompt = prompt
        self.command = command
        self.workspaceID = workspaceID
        self.personaID = personaID
        self.environment = environment
        self.gitCredentials = gitCredentials
        self.ssh = ssh
        self.idempotencyKey = idempotencyKey
    }
}
