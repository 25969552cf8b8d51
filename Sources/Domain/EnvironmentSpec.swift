public import Base

/// Caps of one instance. nil means no cap.
public struct ResourceLimits: Sendable, Codable, Equatable {
    /// Processors; fractions allowed.
    public var cpus: Double?
    public var memoryBytes: Int64?
    public var diskBytes: Int64?
    public var processes: Int?

    public init(cpus: Double? = nil, memoryBytes: Int64? = nil, diskBytes: Int64? = nil, processes: Int? = nil) {
        self.cpus = cpus
        self.memoryBytes = memoryBytes
        self.diskBytes = diskBytes
        self.processes = processes
    }

    /// The free tier (seed 003): 2 processors, 4 GiB, 10 GiB, and a fork-bomb guard.
    public static let standard = ResourceLimits(
        cpus: 2,
        memoryBytes: 4 << 30,
        diskBytes: 10 << 30,
        processes: 4096
    )

    public func validate() throws(BerthError) {
        if let cpus, !(cpus >= 0.01 && cpus <= 1024) {
            throw Self.outOfRange("limits.cpus", "0.01 to 1024")
        }
        if let memoryBytes, memoryBytes < 16 << 20 || memoryBytes > 1 << 50 {
            throw Self.outOfRange("limits.memoryBytes", "at least 16777216 (16 MiB)")
        }
        if let diskBytes, diskBytes < 16 << 20 || diskBytes > 1 << 50 {
            throw Self.outOfRange("limits.diskBytes", "at least 16777216 (16 MiB)")
        }
        if let processes, !(8...4_194_304).contains(processes) {
            throw Self.outOfRange("limits.processes", "8 to 4194304")
        }
    }

    private static func outOfRange(_ field: String, _ range: String) -> BerthError {
        BerthError(.invalidValue, "the value is out of range", field: field, remedy: "allowed: \(range)")
    }
}

/// Whether an environment may be made where its limits cannot be enforced.
public enum LimitsPolicy: String, Sendable, Codable {
    /// Enforce what can be, and say what cannot.
    case bestEffort
    /// Refuse to create when anything cannot be enforced.
    case required
}

/// What was asked for; never what is (that is the observed state).
public struct EnvironmentSpec: Sendable, Codable, Equatable {
    public var provider: ProviderKind
    public var limits: ResourceLimits
    public var limitsPolicy: LimitsPolicy
    public var network: NetworkPolicy
    /// Of what it is made, where the provider has several; nil: what the server is configured with.
    public var image: String?

    public init(
        provider: ProviderKind = .local,
        limits: ResourceLimits = .standard,
        limitsPolicy: LimitsPolicy = .bestEffort,
        network: NetworkPolicy = .open,
        image: String? = nil
    ) {
        self.provider = provider
        self.limits = limits
        self.limitsPolicy = limitsPolicy
        self.network = network
        self.image = image
    }

    public func validate() throws(BerthError) {
        try limits.validate()
        try network.validate()
    }
}

public enum EnvironmentOwnership: String, Sendable, Codable {
    /// One per user, made on first use.
    case personal
    case further
    case organization
}
