/// Which adapter makes an environment's instances. Open: a newer server may know more.
public struct ProviderKind: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    public var description: String { rawValue }

    /// A sandbox on the server's own machine: the default.
    public static let local = ProviderKind(rawValue: "local")
    /// The server's own machine without isolation: only on explicit request.
    public static let host = ProviderKind(rawValue: "host")
    /// Containers of a Docker Engine on the server's machine.
    public static let docker = ProviderKind(rawValue: "docker")
    /// A small virtual machine of its own under QEMU.
    public static let microvm = ProviderKind(rawValue: "microvm")
}

/// How a provider holds an instance to its limits; data, shown to people and checked before work.
public enum LimitsEnforcement: String, Sendable, Codable, CaseIterable {
    case none, rlimit, cgroup1, cgroup2
    /// The instance is a machine of that size.
    case machine
}

public enum Isolation: String, Sendable, Codable {
    /// Runs as the server's user among its files.
    case none
    /// Namespaces of the host's kernel.
    case namespaces
    /// A kernel of its own, on virtual hardware.
    case machine
}

public enum PauseSupport: String, Sendable, Codable {
    case none
    /// Processes keep their memory and stop running.
    case freeze
}

/// What a provider can do, as data: the control plane asks this and never the provider's type.
public struct ProviderCapabilities: Sendable, Codable, Equatable {
    public var isolation: Isolation
    public var limits: LimitsEnforcement
    /// Whether `ResourceLimits.diskBytes` is enforced.
    public var diskCap: Bool
    public var pause: PauseSupport
    public var networks: [NetworkPolicy.Kind]
    /// Whether an environment may name the image that it is made of.
    public var images: Bool
    /// Whether an instance can be kept with its memory, continued in a new process, and forked.
    public var snapshots: Bool
    /// What cannot be enforced on this machine, in words for people; empty where everything holds.
    public var limitations: [String]

    public init(
        isolation: Isolation,
        limits: LimitsEnforcement,
        diskCap: Bool,
        pause: PauseSupport,
        networks: [NetworkPolicy.Kind],
        images: Bool = false,
        snapshots: Bool = false,
        limitations: [String]
    ) {
        self.isolation = isolation
        self.limits = limits
        self.diskCap = diskCap
        self.pause = pause
        self.networks = networks
        self.images = images
        self.snapshots = snapshots
        self.limitations = limitations
    }

    /// Names the requested limits that would not be enforced.
    public func unenforced(_ limits: ResourceLimits) -> [String] {
        let hasGroups = self.limits == .cgroup1 || self.limits == .cgroup2 || self.limits == .machine
        var names: [String] = []
        if limits.cpus != nil, !hasGroups { names.append("limits.cpus") }
        if limits.memoryBytes != nil, !hasGroups { names.append("limits.memoryBytes") }
        if limits.processes != nil, self.limits == .none { names.append("limits.processes") }
        if limits.diskBytes != nil, !diskCap { names.append("limits.diskBytes") }
        return names
    }
}
