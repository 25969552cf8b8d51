public import Base
public import Domain

/// An environment as its row tells it: what was asked for, what is wanted, what was last observed.
public struct EnvironmentRecord: Sendable, Equatable {
    public var id: EnvironmentID
    public var organizationID: OrganizationID
    /// nil for what belongs to the organization.
    public var ownerID: UserID?
    public var name: String
    public var ownership: EnvironmentOwnership
    public var spec: EnvironmentSpec
    public var desired: DesiredState
    public var state: EnvironmentState
    /// The operation that is under way, or that a resume takes up.
    public var operation: EnvironmentOperation?
    public var message: String?
    public var cause: EnvironmentCause?
    /// Incarnation number: 0 before the first boot.
    public var instance: Int64
    public var isProvisioned: Bool
    public var limitsEnforced: LimitsEnforcement?
    /// What of the request its machine cannot enforce, in words.
    public var limitations: [String]
    public var createdAt: Timestamp
    public var stateEnteredAt: Timestamp
    public var deadlineAt: Timestamp?
    public var lastHealthCheckAt: Timestamp?
    public var lastActiveAt: Timestamp?
    /// Without use for this long it is paused; nil: never.
    public var autoStopMinutes: Int?
    /// Without use for this long it is stopped; nil: never.
    public var idleStopMinutes: Int?
    /// What was asked for, where less was granted.
    public var requested: ResourceLimits?
    /// When it is destroyed; nil: never by itself.
    public var expiresAt: Timestamp?
    /// Takes a place of its holder's quota.
    public var isCounted: Bool
    /// Of its machine's memory.
    public var promisedBytes: Int64
    /// What the last look found while it ran; nil before the first.
    public var health: EnvironmentHealth?
    /// Why it was put to rest by itself; nil where it was not, or is wanted running again.
    public var rest: IdleEvidence?
    /// Changes with each write.
    public var version: Int64
    /// On which server's machine it is, and who alone acts for it.
    public var replicaID: ReplicaID?
    /// Of one that nobody has claimed yet: what it was made from.
    public var spareKey: String?
    /// Inside; nil: its name.
    public var hostname: String?
    /// What it is to be made out of, until it is made.
    public var originSnapshotID: SnapshotID?
    /// Where its next boot goes back to.
    public var restoreSnapshotID: SnapshotID?
    /// Verbs that are allowed now.
    public var allowed: [String]
}

/// A request for an environment.
public struct NewEnvironment: Sendable {
    public var organizationID: OrganizationID
    public var ownerID: UserID
    /// nil: one is made up.
    public var name: String?
    public var ownership: EnvironmentOwnership
    public var spec: EnvironmentSpec
    /// 5 to 480; nil: never.
    public var autoStopMinutes: Int?
    /// nil: that of its owner's tier.
    public var idleStopMinutes: Int?
    /// nil: never.
    public var expiresAt: Timestamp?

    public init(
        organizationID: OrganizationID,
        ownerID: UserID,
        name: String? = nil,
        ownership: EnvironmentOwnership = .further,
        spec: EnvironmentSpec = EnvironmentSpec(),
        autoStopMinutes: Int? = IdlePolicy.defaultMinutes,
        idleStopMinutes: Int? = nil
    ) {
        self.organizationID = organizationID
        self.ownerID = ownerID
        self.name = name
        self.ownership = ownership
        self.spec = spec
        self.autoStopMinutes = autoStopMinutes
        self.idleStopMinutes = idleStopMinutes
    }
}

/// What `why` tells: the present state, and the facts that led to it, newest first.
public struct EnvironmentHistory: Sendable {
    public struct Fact: Sendable, Equatable {
        public var seq: Int64
        public var type: String
        /// A JSON object.
        public var payload: String
        public var actorID: UserID?
        public var at: Timestamp
    }

    public var environment: EnvironmentRecord
    public var facts: [Fact]
}
