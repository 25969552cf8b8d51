public import Base

/// What a user may have (D6). nil means no limit.
public struct Tier: Sendable, Equatable {
    public var name: String
    /// Of one environment.
    public var limits: ResourceLimits
    /// Unused for this long an environment is stopped; nil: never.
    public var idleStopMinutes: Int?
    /// At the same time, the personal one among them.
    public var maximumEnvironments: Int?

    public init(name: String, limits: ResourceLimits, idleStopMinutes: Int?, maximumEnvironments: Int?) {
        self.name = name
        self.limits = limits
        self.idleStopMinutes = idleStopMinutes
        self.maximumEnvironments = maximumEnvironments
    }

    public static let free = Tier(
        name: "free",
        limits: ResourceLimits(cpus: 2, memoryBytes: 4 << 30, diskBytes: 10 << 30),
        idleStopMinutes: 60,
        maximumEnvironments: 1
    )
    public static let pro = Tier(
        name: "pro",
        limits: ResourceLimits(cpus: 4, memoryBytes: 8 << 30, diskBytes: 50 << 30),
        idleStopMinutes: nil,
        maximumEnvironments: 3
    )
    public static let unlimited = Tier(
        name: "unlimited",
        limits: ResourceLimits(cpus: 8, memoryBytes: 16 << 30, diskBytes: 100 << 30),
        idleStopMinutes: nil,
        maximumEnvironments: nil
    )
    public static let all = [free, pro, unlimited]

    public static func named(_ name: String) throws(BerthError) -> Tier {
        guard let tier = all.first(where: { $0.name == name }) else {
            throw BerthError(
                .invalidValue,
                "there is no tier '\(name.prefix(40))'",
                field: "tier",
                remedy: "there are: \(all.map(\.name).joined(separator: ", "))"
            )
        }
        return tier
    }

    /// The least of what is asked for, what the tier allows and what the machine has; nil where none of them says.
    public func granting(_ request: ResourceLimits, on machine: ResourceLimits?) -> ResourceLimits {
        let granted = request.capped(by: limits)
        return machine.map { granted.capped(by: $0) } ?? granted
    }
}

extension EnvironmentState {
    /// Takes a place of its holder's quota: released at once on error, and as soon as it is on the way out.
    public var counts: Bool {
        switch self {
        case .error, .destroying, .destroyed: false
        case .requested, .provisioning, .starting, .running, .pausing, .paused, .stopping, .stopped: true
        }
    }
}
