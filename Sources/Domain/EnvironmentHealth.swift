public import Base

/// What a look at a running environment found.
public struct EnvironmentHealth: Sendable, Codable, Equatable {
    public enum Problem: String, Sendable, Codable, CaseIterable {
        /// Its worker is not connected.
        case workerAway
        /// Less than a twentieth of its disk is left.
        case diskLow
        /// Its processes have more than nine tenths of its memory.
        case memoryLow
    }

    public var problems: [Problem]
    /// Since when its worker is away.
    public var awaySince: Timestamp?
    public var diskFreeBytes: Int64?
    public var diskBytes: Int64?
    public var memoryBytes: Int64?
    public var memoryLimitBytes: Int64?

    /// - Parameter resources: what its worker said last; nil where it has said nothing.
    public init(awaySince: Timestamp?, resources: ActivityReport.Resources?, limits: ResourceLimits) {
        self.awaySince = awaySince
        diskFreeBytes = resources?.diskFreeBytes
        diskBytes = resources?.diskBytes
        memoryBytes = resources?.memoryBytes
        memoryLimitBytes = limits.memoryBytes
        problems = []
        if awaySince != nil { problems.append(.workerAway) }
        if let free = diskFreeBytes, let total = diskBytes, free < total / 20 { problems.append(.diskLow) }
        if let used = memoryBytes, let limit = memoryLimitBytes, used > limit / 10 * 9 { problems.append(.memoryLow) }
    }
}
