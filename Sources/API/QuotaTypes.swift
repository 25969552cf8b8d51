public import Base
public import Domain

/// `GET /v1/quota`: what a user may have and has.
public struct Quota: Sendable, Codable, Equatable {
    public var userId: UserID?
    /// `free`, `pro` or `unlimited`.
    public var tier: String
    /// Of those that count: not in error, not on the way out.
    public var environments: Int
    /// Absent: no limit.
    public var maximumEnvironments: Int?
    /// Of one environment.
    public var limits: ResourceLimits
    /// Unused for this long an environment is stopped; absent: never.
    public var idleStopMinutes: Int?

    public init(userId: UserID?, tier: Tier, environments: Int) {
        self.userId = userId
        self.tier = tier.name
        self.environments = environments
        maximumEnvironments = tier.maximumEnvironments
        limits = tier.limits
        idleStopMinutes = tier.idleStopMinutes
    }
}

/// `POST /v1/quota`.
public struct SetTier: Sendable, Codable, Equatable {
    public var tier: String
    /// Absent: the caller's own.
    public var userId: UserID?

    public init(tier: String, userId: UserID? = nil) {
        self.tier = tier
        self.userId = userId
    }
}

/// `POST /v1/environments/{id}/extend`.
public struct ExtendEnvironment: Sendable, Codable, Equatable {
    /// Absent: it is never destroyed by itself.
    public var expiresAt: Timestamp?

    public init(expiresAt: Timestamp?) { self.expiresAt = expiresAt }
}

/// `GET /v1/environments/{id}/health`.
public struct HealthOfEnvironment: Sendable, Codable, Equatable {
    public var status: String
    public var lastHealthCheckAt: Timestamp?
    /// What the last look found; absent before the first.
    public var health: EnvironmentHealth?

    public init(status: String, lastHealthCheckAt: Timestamp?, health: EnvironmentHealth?) {
        self.status = status
        self.lastHealthCheckAt = lastHealthCheckAt
        self.health = health
    }
}

extension Schema {
    static let quota = Schema.object(
        name: "Quota",
        members: [
            .optional("userId", .string(), "whose"),
            .required("tier", .string(values: Tier.all.map(\.name)), "what it is called"),
            .required("environments", .integer(), "that count: not in error, not on the way out"),
            .optional("maximumEnvironments", .integer(), "absent: no limit"),
            .required("limits", limits, "of one environment"),
            .optional("idleStopMinutes", .integer(), "unused for this long one is stopped; absent: never"),
        ]
    )

    static let setTier = Schema.object(
        name: "SetTier",
        members: [
            .required("tier", .string(values: Tier.all.map(\.name)), "free, pro or unlimited"),
            .optional("userId", .string(), "a member; absent: the caller"),
        ]
    )

    static let extendEnvironment = Schema.object(
        name: "ExtendEnvironment",
        members: [.optional("expiresAt", .string(), "ISO 8601, UTC; absent: it is never destroyed by itself")]
    )

    private static let environmentFindings = Schema.object(
        name: "EnvironmentHealth",
        members: [
            .required("problems", .array(.string()), "workerAway, diskLow, memoryLow; empty: it is well"),
            .optional("awaySince", time, "since when its worker is not connected"),
            .optional("diskFreeBytes", .integer(), "of the disk with its workspaces"),
            .optional("diskBytes", .integer(), "of the disk with its workspaces"),
            .optional("memoryBytes", .integer(), "resident memory of its processes"),
            .optional("memoryLimitBytes", .integer(), "its cap"),
        ]
    )

    static let environmentHealth = Schema.object(
        name: "HealthOfEnvironment",
        members: [
            .required("status", .string(), "observed state"),
            .optional("lastHealthCheckAt", time, "when"),
            .optional("health", environmentFindings, "what was found; absent before the first look"),
        ]
    )
}
