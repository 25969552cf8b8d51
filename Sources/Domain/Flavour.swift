public import Base

/// A size of environments (seed 003): what a person picks instead of figures.
public struct Flavour: Sendable, Equatable {
    public var name: String
    public var limits: ResourceLimits

    public static let all = [
        Flavour(name: "free", cpus: 2, memory: 4 << 30, disk: 10 << 30),
        Flavour(name: "pro", cpus: 4, memory: 8 << 30, disk: 50 << 30),
        Flavour(name: "unlimited", cpus: 8, memory: 16 << 30, disk: 100 << 30),
    ]

    private init(name: String, cpus: Double, memory: Int64, disk: Int64) {
        self.name = name
        limits = ResourceLimits(
            cpus: cpus,
            memoryBytes: memory,
            diskBytes: disk,
            processes: ResourceLimits.standard.processes
        )
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
