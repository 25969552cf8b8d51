import Base
import Database
import Domain

/// A worker by the connection that a write relies on. The row is held until the write has committed, so that a worker
/// that connects anew meanwhile, here or to another server, finds the write in the books or prevents it.
struct HeldWorker: Sendable {
    var workerID: WorkerID
    var fence: WorkerFence

    /// The worker has connected anew.
    struct Moved: Error {}

    static func statement(_ dialect: any SQLDialect) -> SQL {
        "SELECT 1 AS found FROM workers WHERE id = $1 AND replica_id = $2 AND connection = $3" + dialect.holdingRows
    }

    /// Throws `Moved`, perhaps only at the transaction's end.
    func check(in connection: any SQLConnection, _ dialect: any SQLDialect) throws {
        try connection.require(
            Self.statement(dialect),
            [workerID.sqlValue, fence.replicaID.sqlValue, fence.connection.sqlValue],
            orThrow: Moved()
        )
    }
}
