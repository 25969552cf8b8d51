public import Base
public import Domain

/// Text frames from a server to a worker (seed 004, section 1.2, and Berth's additions).
public enum ServerMessage: Sendable, Equatable {
    case ack(Ack)
    case assign(Assign)
    case cancel(Cancel)
    case shutdown(Shutdown)
    // Added by protocol 1.
    case forget(Forget)
    /// To a worker whose hello names the capability ``tcpCapability``.
    case connect(Connect)
    /// Say what goes on at this moment; answered by a heartbeat.
    case look(Look)

    /// Among the capabilities of a worker that opens TCP connections.
    public static let tcpCapability = "tcp"

    public struct Ack: Sendable, Equatable, Codable {
        public var workerId: String
        public var sessionToken: String
        public var `protocol`: Int?
        /// How often the worker says that it lives.
        public var heartbeatMs: Int64?
        /// One answer per attempt of the worker's hello.
        public var resume: [ResumePoint]?
        /// URLs of the deployment's servers, this one among them, for a worker that stands alone.
        public var servers: [String]?

        public init(
            workerId: String,
            sessionToken: String,
            protocol: Int? = nil,
            heartbeatMs: Int64? = nil,
            resume: [ResumePoint]? = nil,
            servers: [String]? = nil
        ) {
            self.workerId = workerId
            self.sessionToken = sessionToken
            self.protocol = `protocol`
            self.heartbeatMs = heartbeatMs
            self.resume = resume
            self.servers = servers
        }
    }

    public struct ResumePoint: Sendable, Equatable, Codable {
        public enum Action: String, Sendable, Codable {
            /// Go on; send output from the given offsets.
            case resume
            /// The server has its end recorded; drop it.
            case forget
            /// The attempt is fenced off or cancelled: kill it, then drop it.
            case kill
        }

        public var executionId: ExecutionID
        public var attempt: Int
        public var action: Action
        /// Bytes that the server has stored.
        public var stdout: Int64
        public var stderr: Int64

        public init(executionId: ExecutionID, attempt: Int, action: Action, stdout: Int64, stderr: Int64) {
            self.executionId = executionId
            self.attempt = attempt
            self.action = action
            self.stdout = stdout
            self.stderr = stderr
        }
    }

    public struct Assign: Sendable, Equatable, Codable {
        public var executionId: String
        public var personaId: String
        public var prompt: String
        /// Environment of the agent: tokens and credentials among it; kept in memory only.
        public var env: [String: String]
        public var config: Config
        public var attempt: Int?
        public var agent: AgentAssignment?
        public var workspace: WorkspaceRequest?
        /// For git operations of this assignment, never for the agent's environment.
        public var gitCredentials: [GitCredential]?
        /// As `gitCredentials`, for a repository behind ssh.
        public var ssh: SSHCredential?

        public init(
            executionId: String,
            personaId: String,
            prompt: String,
            env: [String: String],
            config: Config,
            attempt: Int? = nil,
            agent: AgentAssignment? = nil,
            workspace: WorkspaceRequest? = nil,
            gitCredentials: [GitCredential]? = nil,
            ssh: SSHCredential? = nil
        ) {
            self.executionId = executionId
            self.personaId = personaId
            self.prompt = prompt
            self.env = env
            self.config = config
            self.attempt = attempt
            self.agent = agent
            self.workspace = workspace
            self.gitCredentials = gitCredentials
            self.ssh = ssh
        }
    }

    public struct Config: Sendable, Equatable, Codable {
        public var timeoutMs: Int64
        public var maxOutputBytes: Int64

        public init(timeoutMs: Int64, maxOutputBytes: Int64) {
            self.timeoutMs = timeoutMs
            self.maxOutputBytes = maxOutputBytes
        }
    }

    public struct AgentAssignment: Sendable, Equatable, Codable {
        public var kind: AgentKind
        /// The argument vector of a `command` agent.
        public var command: [String]?
        /// Where it runs when there is no workspace; nil means a private temporary directory, wiped at the end.
        public var workingDirectory: String?
        public var model: String?
        public var maxTurns: Int?
        public var maxCostUSD: Double?
        /// Continue the agent's own conversation.
        public var resumeAgentSessionID: String?

        public init(
            kind: AgentKind,
            command: [String]? = nil,
            workingDirectory: String? = nil,
            model: String? = nil,
            maxTurns: Int? = nil,
            maxCostUSD: Double? = nil,
            resumeAgentSessionID: String? = nil
        ) {
            self.kind = kind
            self.command = command
            self.workingDirectory = workingDirectory
            self.model = model
            self.maxTurns = maxTurns
            self.maxCostUSD = maxCostUSD
            self.resumeAgentSessionID = resumeAgentSessionID
        }
    }

    /// What git's credential protocol may answer for one host.
    public struct GitCredential: Sendable, Equatable, Codable, CustomStringConvertible {
        /// `https` or `http`.
        public var scheme: String
        /// Host, with the port where the URL has one.
        public var host: String
        public var username: String
        public var password: String

        public var description: String { "<redacted credential of \(host)>" }

        public init(scheme: String, host: String, username: String, password: String) {
            self.scheme = scheme
            self.host = host
            self.username = username
            self.password = password
        }
    }

    /// How a repository behind ssh is reached.
    public struct SSHCredential: Sendable, Equatable, Codable, CustomStringConvertible {
        /// OpenSSH or PEM, without a passphrase; nil: no key is offered.
        public var privateKey: String?
        /// In the form of a known_hosts file, and then no other host is trusted.
        public var knownHosts: String?

        public var description: String { "<redacted key>" }

        public init(privateKey: String?, knownHosts: String? = nil) {
            self.privateKey = privateKey
            self.knownHosts = knownHosts
        }
    }

    public struct Cancel: Sendable, Equatable, Codable {
        public var executionId: String
        public var attempt: Int?

        public init(executionId: String, attempt: Int? = nil) {
            self.executionId = executionId
            self.attempt = attempt
        }
    }

    public struct Shutdown: Sendable, Equatable, Codable {
        public var reason: String
        public var gracePeriodMs: Int64

        public init(reason: String, gracePeriodMs: Int64) {
            self.reason = reason
            self.gracePeriodMs = gracePeriodMs
        }
    }

    /// The end of this attempt is recorded; the worker may drop its row and bytes.
    public struct Forget: Sendable, Equatable, Codable {
        public var executionId: ExecutionID
        public var attempt: Int

        public init(executionId: ExecutionID, attempt: Int) {
            self.executionId = executionId
            self.attempt = attempt
        }
    }
}

extension ServerMessage {
    /// Open a TCP connection where the worker runs, or a service of its own, for the bytes of `channel`; answered by `connected` or `refused`.
    public struct Connect: Sendable, Equatable, Codable {
        public var channel: UInt32
        /// 1 to 65535.
        public var port: Int
        /// An address of the machine itself; nil: its loopback, IPv4 before IPv6.
        public var host: String?
        /// A service of the worker's own in place of a port, which then is 0.
        public var service: ServiceRequest?

        public init(channel: UInt32, port: Int, host: String? = nil, service: ServiceRequest? = nil) {
            self.channel = channel
            self.port = port
            self.host = host
            self.service = service
        }
    }
}

extension ServerMessage {
    public struct Look: Sendable, Equatable, Codable {
        public init() {}
    }
}

extension ServerMessage: TaggedMessage {
    public var tag: String {
        switch self {
        case .ack: "ack"
        case .assign: "assign"
        case .cancel: "cancel"
        case .shutdown: "shutdown"
        case .forget: "forget"
        case .connect: "connect"
        case .look: "look"
        }
    }

    public var body: any Codable & Sendable {
        switch self {
        case .ack(let body): body
        case .assign(let body): body
        case .cancel(let body): body
        case .shutdown(let body): body
        case .forget(let body): body
        case .connect(let body): body
        case .look(let body): body
        }
    }

    public init?(tag: String, from decoder: any Decoder) throws {
        switch tag {
        case "ack": self = .ack(try Ack(from: decoder))
        case "assign": self = .assign(try Assign(from: decoder))
        case "cancel": self = .cancel(try Cancel(from: decoder))
        case "shutdown": self = .shutdown(try Shutdown(from: decoder))
        case "forget": self = .forget(try Forget(from: decoder))
        case "connect": self = .connect(try Connect(from: decoder))
        case "look": self = .look(try Look(from: decoder))
        default: return nil
        }
    }
}
