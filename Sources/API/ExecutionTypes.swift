public import Base
public import Domain

/// Where an execution stands. Open: a newer server may know more.
public struct ExecutionStatus: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    public var description: String { rawValue }

    public static let queued = ExecutionStatus(rawValue: "queued")
    public static let assigned = ExecutionStatus(rawValue: "assigned")
    public static let running = ExecutionStatus(rawValue: "running")
    public static let completed = ExecutionStatus(rawValue: "completed")
    public static let failed = ExecutionStatus(rawValue: "failed")
    public static let cancelled = ExecutionStatus(rawValue: "cancelled")
    public static let timedOut = ExecutionStatus(rawValue: "timedOut")

    public static let known: [ExecutionStatus] = [
        .queued, .assigned, .running, .completed, .failed, .cancelled, .timedOut,
    ]

    public var hasEnded: Bool { [.completed, .failed, .cancelled, .timedOut].contains(self) }
}

/// `POST /v1/executions`: one run of an agent or a command.
public struct CreateExecution: Sendable, Codable, Equatable {
    /// Name or id of an environment; `new` for one of its own; nil for the personal one, made on first use.
    public var environment: String?
    /// For an environment that this request makes.
    public var provider: ProviderKind?
    public var image: String?
    public var network: NetworkPolicy?
    public var limits: ResourceLimits?
    /// nil: `command` where there is a command, else `claude`.
    public var agent: AgentKind?
    public var prompt: String?
    public var command: [String]?
    public var workingDirectory: String?
    public var personaId: String?
    public var model: String?
    public var resumeAgentSessionId: String?
    public var repository: Checkout?
    /// Name or id of a workspace to run in, in place of a repository.
    public var workspace: String?
    /// Variables of the agent's environment. Sealed at rest, never shown again.
    public var env: [String: String]?
    public var gitCredentials: [GitLogin]?
    /// For a repository behind ssh. Sealed at rest, never shown again.
    public var ssh: SSHLogin?
    public var config: RunConfig?
    /// `never` (the default) or `idempotent`: whether a run that had started may be repeated after its machine was lost.
    public var retry: String?

    public struct Checkout: Sendable, Codable, Equatable {
        public var url: String
        /// With `local:NAME` as the URL: the repository as a git bundle; nil when it has no commit yet.
        public var upload: UploadID?
        /// Branch, tag or commit to start from; nil: the remote's default branch.
        public var base: String?
        /// nil: one named after the task.
        public var branch: String?
        public var push: Bool?
        public var commitLeftovers: Bool?

        public init(
            url: String,
            upload: UploadID? = nil,
            base: String? = nil,
            branch: String? = nil,
            push: Bool? = nil,
            commitLeftovers: Bool? = nil
        ) {
            self.url = url
            self.upload = upload
            self.base = base
            self.branch = branch
            self.push = push
            self.commitLeftovers = commitLeftovers
        }
    }

    /// A login for git over HTTP at one host.
    public struct GitLogin: Sendable, Codable, Equatable, CustomStringConvertible {
        /// `https` or `http`.
        public var scheme: String
        /// Host, with the port where the URL has one.
        public var host: String
        public var username: String
        public var password: String

        public var description: String { "<redacted login of \(host)>" }

        public init(scheme: String, host: String, username: String, password: String) {
            self.scheme = scheme
            self.host = host
            self.username = username
            self.password = password
        }
    }

    /// How a repository behind ssh is reached.
    public struct SSHLogin: Sendable, Codable, Equatable, CustomStringConvertible {
        /// OpenSSH or PEM, without a passphrase.
        public var privateKey: String?
        /// Lines of a known_hosts file; nil: the first key that the host shows is kept.
        public var knownHosts: String?

        public var description: String { "<redacted key>" }

        public init(privateKey: String?, knownHosts: String?) {
            self.privateKey = privateKey
            self.knownHosts = knownHosts
        }
    }

    public init() {}
}

/// Bytes that the server keeps for an execution to come.
public struct Upload: Sendable, Codable, Equatable {
    public var id: UploadID
    public var bytes: Int64
    /// Of the bytes, hexadecimal.
    public var sha256: String
    public var expiresAt: Timestamp

    public init(id: UploadID, bytes: Int64, sha256: String, expiresAt: Timestamp) {
        self.id = id
        self.bytes = bytes
        self.sha256 = sha256
        self.expiresAt = expiresAt
    }
}

/// Caps of one run; nil means the server's default.
public struct RunConfig: Sendable, Codable, Equatable {
    public var timeoutMs: Int64?
    public var maxOutputBytes: Int64?
    public var maxTurns: Int?
    /// US dollars.
    public var maxCostUsd: Double?

    public init(
        timeoutMs: Int64? = nil,
        maxOutputBytes: Int64? = nil,
        maxTurns: Int? = nil,
        maxCostUsd: Double? = nil
    ) {
        self.timeoutMs = timeoutMs
        self.maxOutputBytes = maxOutputBytes
        self.maxTurns = maxTurns
        self.maxCostUsd = maxCostUsd
    }

    public var caps: RunCaps {
        RunCaps(
            timeoutMs: timeoutMs,
            maxTurns: maxTurns,
            maxCostUSD: maxCostUsd,
            maxOutputBytes: maxOutputBytes ?? RunCaps.defaultOutputBytes
        )
    }
}

/// An execution as the API shows it; never its variables or credentials.
public struct Execution: Sendable, Codable, Equatable {
    public var id: ExecutionID
    public var status: ExecutionStatus
    public var agent: AgentKind
    public var personaId: String?
    public var environmentId: EnvironmentID?
    public var workspaceId: WorkspaceID?
    public var attempt: Int
    /// The first characters of the prompt, or the command.
    public var title: String
    public var model: String?
    public var agentSessionId: String?
    public var exitCode: Int32?
    public var failure: FailureReason?
    /// Who cancelled it.
    public var cancelledBy: String?
    public var usage: AgentUsage?
    public var durationMs: Int64?
    public var createdAt: Timestamp
    public var assignedAt: Timestamp?
    public var startedAt: Timestamp?
    public var endedAt: Timestamp?
    public var config: RunConfig
    /// The end as its worker reported it.
    public var report: ExecutionReport?
    /// How often the machinery beneath it failed; nil: never.
    public var failures: Int?
    /// While queued after a failure: when the next attempt may begin.
    public var notBefore: Timestamp?
    /// The dead letter that it runs again.
    public var retryOf: ExecutionID?

    public init(
        id: ExecutionID,
        status: ExecutionStatus,
        agent: AgentKind,
        attempt: Int,
        title: String,
        createdAt: Timestamp,
        config: RunConfig
    ) {
        self.id = id
        self.status = status
        self.agent = agent
        self.attempt = attempt
        self.title = title
        self.createdAt = createdAt
        self.config = config
    }
}
