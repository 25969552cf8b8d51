public import Base

/// One of the servers of a database. Ages are by the database's clock.
public struct ServerView: Sendable, Codable, Equatable {
    public var id: ReplicaID
    public var isThis: Bool
    /// `living`, `ended` (it stopped), `lost` (its lease ran out without a word).
    public var status: String
    public var version: String
    public var address: String?
    public var fence: Int64
    public var startedAt: Timestamp
    public var leaseAgeMs: Int64
    public var leaseLeftMs: Int64
    public var workers: Int
    public var executions: Int
    public var environments: Int

    public init(
        id: ReplicaID,
        isThis: Bool,
        status: String,
        version: String,
        address: String?,
        fence: Int64,
        startedAt: Timestamp,
        leaseAgeMs: Int64,
        leaseLeftMs: Int64,
        workers: Int,
        executions: Int,
        environments: Int
    ) {
        self.id = id
        self.isThis = isThis
        self.status = status
        self.version = version
        self.address = address
        self.fence = fence
        self.startedAt = startedAt
        self.leaseAgeMs = leaseAgeMs
        self.leaseLeftMs = leaseLeftMs
        self.workers = workers
        self.executions = executions
        self.environments = environments
    }
}
