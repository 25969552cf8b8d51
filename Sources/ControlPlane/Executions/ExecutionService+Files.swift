public import Base
import Database
public import Domain

// What belongs to an attempt and does not come over the link.
extension ExecutionService {
    /// Whether a worker may add a file to an attempt: throws `stale` when it has ended or is another's.
    /// - Parameter worker: nil for one that stands alone, which its organization vouches for.
    public func admitFile(_ key: AttemptKey, worker: WorkerID?, organization: OrganizationID) async throws {
        let row = try await database.read { connection in
            try connection.first(ExecutionStore.attemptOwner, key.executionID, key.attempt)
        }
        guard let row, try row.id(OrganizationKind.self, "organization_id") == organization else {
            throw BerthError(.notFound, "there is no open attempt \(key.attempt) of \(key.executionID)")
        }
        guard let worker else { return }
        guard try row.optionalID("worker_id") == worker else {
            throw BerthError.stale("worker", held: worker, current: "another")
        }
    }
}
