public import Base
public import Domain

/// One incarnation of an environment. `instance` is the fence: it grows with every boot.
public struct InstanceReference: Sendable, Hashable, Codable {
    public var environmentID: EnvironmentID
    public var instance: Int64

    public init(environmentID: EnvironmentID, instance: Int64) {
        self.environmentID = environmentID
        self.instance = instance
    }
}

/// What an environment is to be on its provider; kept with it, so it holds no secret.
public struct InstanceRequest: Sendable, Codable, Equatable {
    public var environmentID: EnvironmentID
    /// Which deployment it belongs to: what ``Provider/list(label:)`` looks for.
    public var label: String
    public var limits: ResourceLimits
    public var limitsPolicy: LimitsPolicy
    public var network: NetworkPolicy
    /// 1 to 63 of `a-z`, `0-9` and `-`.
    public var hostname: String
    /// Of what it is made, where the provider has several; nil: what the provider is configured with.
    public var image: String?

    public init(
        environmentID: EnvironmentID,
        label: String,
        limits: ResourceLimits = .standard,
        limitsPolicy: LimitsPolicy = .bestEffort,
        network: NetworkPolicy = .open,
        hostname: String = "berth",
        image: String? = nil
    ) {
        self.environmentID = environmentID
        self.label = label
        self.limits = limits
        self.limitsPolicy = limitsPolicy
        self.network = network
        self.hostname = hostname
        self.image = image
    }
}

/// A directory of the host with an agent's program, shown read-only inside as `/opt/berth/agents/<name>` and put on PATH.
public struct AgentMount: Sendable, Equatable {
    public var name: String
    public var directory: String

    public init(name: String, directory: String) {
        self.name = name
        self.directory = directory
    }
}

/// What one boot hands to its worker.
public struct WorkerLaunch: Sendable {
    /// Proves the worker to the server. Reaches it through a file that only it can read.
    public var token: Secret<String>
    public var agents: [AgentMount]
    /// Added to the worker's own arguments.
    public var arguments: [String]
    /// Added to the environment of holder and worker; visible inside, so nothing secret.
    public var environment: [String: String]

    public init(
        token: Secret<String>,
        agents: [AgentMount] = [],
        arguments: [String] = [],
        environment: [String: String] = [:]
    ) {
        self.token = token
        self.agents = agents
        self.arguments = arguments
        self.environment = environment
    }
}

/// Where the server meets the instance.
public struct InstanceDescription: Sendable, Equatable {
    public var environmentID: EnvironmentID
    /// The server listens on a unix socket here. The directory, 0700, is what appears inside, so the socket may come and go.
    public var linkSocket: String
    public var directory: String
    /// What cannot be enforced for this environment, in words for people.
    public var limitations: [String]
}

public enum InstanceState: Sendable, Equatable {
    /// Made, never booted.
    case created
    case running
    case paused
    case stopped(InstanceEnd)
}

/// How an incarnation ended.
public enum InstanceEnd: Sendable, Equatable {
    case exited(code: Int, at: Timestamp)
    case killed(signal: Int, at: Timestamp)
    /// Nobody saw it: the machine went down, or somebody killed monitor and holder.
    case unknown
}

public struct InstanceObservation: Sendable, Equatable {
    public var environmentID: EnvironmentID
    /// The last incarnation that was started; nil when none ever was.
    public var instance: Int64?
    public var label: String
    public var state: InstanceState
    /// The holder's process id on the host while it lives.
    public var holderPID: Int32?
    /// The provider's own words about the state, where it has some to add.
    public var words: String?
}
