public import Base
public import Domain

/// A line of an environment's provisioning log.
public struct ProvisioningEntry: Sendable, Codable, Equatable {
    /// 1, 2, … of its environment.
    public var seq: Int64
    public var timestamp: Timestamp
    /// `info`, `success`, `error` or `debug`.
    public var level: String
    public var message: String

    public init(seq: Int64, timestamp: Timestamp, level: String, message: String) {
        self.seq = seq
        self.timestamp = timestamp
        self.level = level
        self.message = message
    }
}

/// `POST /v1/environments/{id}/execute`.
public struct ExecuteCode: Sendable, Codable, Equatable {
    /// Text for the environment's `sh`.
    public var code: String?
    public var command: [String]?
    public var stdin: String?
    public var workingDirectory: String?
    public var env: [String: String]?
    public var timeoutMs: Int64?
    /// The answer comes after this time even if the run has not ended.
    public var waitMs: Int64?

    public init() {}
}

public struct ExecutedCode: Sendable, Codable, Equatable {
    public var executionId: ExecutionID
    public var status: ExecutionStatus
    public var exitCode: Int32?
    public var signal: Int32?
    /// What is no UTF-8 is replaced; the exact bytes are the execution's output.
    public var stdout: String
    public var stderr: String
    public var isTruncated: Bool
    public var durationMs: Int64?
    public var failure: FailureReason?

    public init(executionId: ExecutionID, status: ExecutionStatus, stdout: String, stderr: String, isTruncated: Bool) {
        self.executionId = executionId
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        self.isTruncated = isTruncated
    }
}

/// `POST /v1/environments/provision`.
public struct ProvisionEnvironment: Sendable, Codable, Equatable {
    public var provider: ProviderKind?
    public var limits: ResourceLimits?
    public var network: NetworkPolicy?

    public init() {}
}

/// A change of an environment's state.
public struct EnvironmentTransition: Sendable, Codable, Equatable {
    public var sequence: Int64
    public var action: String
    public var state: String
    public var desired: String
    public var instance: Int64
    /// nil: the server by itself.
    public var actorId: UserID?
    public var message: String?
    public var failure: FailureReason?
    public var at: Timestamp

    public init(
        sequence: Int64,
        action: String,
        state: String,
        desired: String,
        instance: Int64,
        actorId: UserID?,
        message: String?,
        failure: FailureReason?,
        at: Timestamp
    ) {
        self.sequence = sequence
        self.action = action
        self.state = state
        self.desired = desired
        self.instance = instance
        self.actorId = actorId
        self.message = message
        self.failure = failure
        self.at = at
    }
}

/// A size of environments.
public struct Flavour: Sendable, Codable, Equatable {
    public var name: String
    public var limits: ResourceLimits
    /// What of it the server's machine has.
    public var granted: ResourceLimits

    public init(name: String, limits: ResourceLimits, granted: ResourceLimits) {
        self.name = name
        self.limits = limits
        self.granted = granted
    }
}

/// What environments are made from.
public struct Image: Sendable, Codable, Equatable {
    public var name: String
    public var provider: ProviderKind
    public var isAvailable: Bool
    /// What environments are made from that name none.
    public var isDefault = true
    public var bytes: Int64?
    public var createdAt: Timestamp?

    public init(name: String, provider: ProviderKind, isAvailable: Bool) {
        self.name = name
        self.provider = provider
        self.isAvailable = isAvailable
    }
}

/// `GET /v1/admin/environments`.
public struct EnvironmentOverview: Sendable, Codable, Equatable {
    public struct Host: Sendable, Codable, Equatable {
        public var serverId: ReplicaID
        public var address: String?
        public var version: String
        public var startedAt: Timestamp
        public var environments: Int
        public var running: Int

        public init(serverId: ReplicaID, address: String?, version: String, startedAt: Timestamp) {
            self.serverId = serverId
            self.address = address
            self.version = version
            self.startedAt = startedAt
            environments = 0
            running = 0
        }
    }

    public struct Statistics: Sendable, Codable, Equatable {
        public var total = 0
        public var byState: [String: Int] = [:]
        public var cpus = 0.0
        public var memoryBytes: Int64 = 0
        public var runningCpus = 0.0
        public var runningMemoryBytes: Int64 = 0

        public init() {}

        public mutating func add(_ limits: ResourceLimits, state: String) {
            total += 1
            byState[state, default: 0] += 1
            cpus += limits.cpus ?? 0
            memoryBytes += limits.memoryBytes ?? 0
            guard state == "running" else { return }
            runningCpus += limits.cpus ?? 0
            runningMemoryBytes += limits.memoryBytes ?? 0
        }
    }

    public var environments: [Environment]
    public var hosts: [Host]
    public var statistics: Statistics

    public init(environments: [Environment], hosts: [Host], statistics: Statistics) {
        self.environments = environments
        self.hosts = hosts
        self.statistics = statistics
    }
}
