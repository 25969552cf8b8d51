public import Base
public import Domain

/// An environment that was kept with its memory.
public struct EnvironmentSnapshot: Sendable, Codable, Equatable {
    public var id: SnapshotID
    public var environmentId: EnvironmentID
    /// `making`, `ready`, `failed` or `removing`.
    public var status: String
    /// The incarnation that it is of.
    public var instance: Int64
    /// What is made out of it is as this says.
    public var spec: EnvironmentSpec
    /// Why it could not be made.
    public var failure: FailureReason?
    /// For a fork that is being made; removed by itself.
    public var isTransient: Bool
    public var createdAt: Timestamp
    public var readyAt: Timestamp?
    /// When its making is given up.
    public var deadlineAt: Timestamp?

    public init(
        id: SnapshotID,
        environmentId: EnvironmentID,
        status: String,
        instance: Int64,
        spec: EnvironmentSpec,
        isTransient: Bool,
        createdAt: Timestamp
    ) {
        self.id = id
        self.environmentId = environmentId
        self.status = status
        self.instance = instance
        self.spec = spec
        self.isTransient = isTransient
        self.createdAt = createdAt
    }
}

/// `POST /v1/environments/{id}/fork`.
public struct ForkEnvironment: Sendable, Codable, Equatable {
    /// Of the fork; nil: one is made up.
    public var name: String?
    /// nil: what the environment is now.
    public var snapshotId: SnapshotID?

    public init(name: String? = nil, snapshotId: SnapshotID? = nil) {
        self.name = name
        self.snapshotId = snapshotId
    }
}

/// `POST /v1/environments/{id}/restore`.
public struct RestoreEnvironment: Sendable, Codable, Equatable {
    /// nil: the newest.
    public var snapshotId: SnapshotID?

    public init(snapshotId: SnapshotID? = nil) { self.snapshotId = snapshotId }
}

extension Schema {
    static let snapshot = Schema.object(
        name: "EnvironmentSnapshot",
        members: [
            .required("id", .string(), "snap_…"),
            .required("environmentId", .string(), "of which"),
            .required(
                "status",
                .string(values: SnapshotState.allCases.map(\.rawValue)),
                "making, ready, failed, removing"
            ),
            .required("instance", .integer(), "the incarnation that it is of"),
            .required("spec", environmentSpec, "what is made out of it is as this says"),
            .optional("failure", failure, "why it could not be made"),
            .required("isTransient", .boolean, "for a fork that is being made; removed by itself"),
            .required("createdAt", time, "when"),
            .optional("readyAt", time, "when"),
            .optional("deadlineAt", time, "when its making is given up"),
        ]
    )

    static let forkEnvironment = Schema.object(
        name: "ForkEnvironment",
        members: [
            .optional("name", .string(), "of the fork; lower-case letters, digits and hyphens"),
            .optional("snapshotId", .string(), "absent: what the environment is now"),
        ]
    )

    static let restoreEnvironment = Schema.object(
        name: "RestoreEnvironment",
        members: [.optional("snapshotId", .string(), "absent: the newest")]
    )
}
