public import Base

/// A size of environments (seed 003): what a person picks instead of figures.
public struct Flavour: Sendable, Equatable {
    public var name: String
    public var limits: ResourceLimits

    /// Those of the tiers, each with the guard against fork bombs.
    public static let all = Tier.all.map { tier in
        var limits = tier.limits
        limits.processes = ResourceLimits.standard.processes
        return Flavour(name: tier.name, limits: limits)
    }

    public static func named(_ name: String) throws(BerthError) -> Flavour {
        guard let flavour = all.first(where: { $0.name == name }) else {
            throw BerthError(
                .invalidValue,
                "there is no flavour '\(name.prefix(40))'",
                field: "flavour",
                remedy: "there are: \(all.map(\.name).joined(separator: ", "))"
            )
        }
        return flavour
    }
}

extension ResourceLimits {
    /// At most what `other` allows of each; nil stays a cap's absence on both sides.
    public func capped(by other: ResourceLimits) -> ResourceLimits {
        func least<Value: Comparable>(_ left: Value?, _ right: Value?) -> Value? {
            guard let left, let right else { return left ?? right }
            return min(left, right)
        }
        return ResourceLimits(
            cpus: least(cpus, other.cpus),
            memoryBytes: least(memoryBytes, other.memoryBytes),
            diskBytes: least(diskBytes, other.diskBytes),
            processes: least(processes, other.processes)
        )
    }
}
