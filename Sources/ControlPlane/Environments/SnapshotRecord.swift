public import Base
public import Domain

/// A snapshot as its row tells it.
public struct SnapshotRecord: Sendable, Equatable {
    public var id: SnapshotID
    public var organizationID: OrganizationID
    public var environmentID: EnvironmentID
    /// nil for what belongs to the organization.
    public var ownerID: UserID?
    /// The incarnation that it is of.
    public var instance: Int64
    /// The environment's, at that time: what is made out of it is of the same size.
    public var spec: EnvironmentSpec
    public var state: SnapshotState
    public var failure: FailureReason?
    /// Removed by itself as soon as nothing is to be made out of it.
    public var isTransient: Bool
    public var createdAt: Timestamp
    public var readyAt: Timestamp?
    public var deadlineAt: Timestamp?
    /// On whose machine it lies.
    public var replicaID: ReplicaID?

    var machine: SnapshotMachine {
        let status: SnapshotMachine.Status =
            switch state {
            case .making: .making(deadlineAt: deadlineAt ?? createdAt)
            case .ready: .ready
            case .failed: .failed(failure ?? FailureReason(.internal, "the cause was not recorded"))
            case .removing: .removing
            }
        return SnapshotMachine(status: status)
    }
}
