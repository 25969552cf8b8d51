public import Base
import Domain

// What workers tell, and what follows from an instance's end.
extension EnvironmentService {
    /// A worker of this incarnation can take work. Called for every `ready`; fenced by the number.
    public func workerReady(_ id: EnvironmentID, organization: OrganizationID, instance: Int64) async throws {
        try await change(id, organization) { _ = try $0.workerReady(instance: instance) }
        bells.ring(id)
    }

    /// What ran in it is gone; its worker's token too. Both before the row says so, so that nothing is left hanging.
    func ended(_ record: EnvironmentRecord, _ words: String) async throws {
        guard record.instance > 0 else { return }
        workers.setDraining(true, environment: record.id)
        try await observer.environmentEnded(
            record.id,
            organization: record.organizationID,
            instance: record.instance,
            FailureReason(.environmentLost, words)
        )
        try await workers.revoke(
            organization: record.organizationID,
            owner: record.ownerID,
            environment: record.id,
            upTo: record.instance
        )
    }
}
