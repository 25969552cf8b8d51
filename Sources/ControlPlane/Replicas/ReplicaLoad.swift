import Base
import Database

/// A server of this database and what it holds. Ages are by the database's clock.
public struct ReplicaLoad: Sendable, Equatable {
    public enum Status: String, Sendable {
        /// `lost`: the lease ran out without a word.
        case living, ended, lost
    }

    public var record: ReplicaRecord
    public var status: Status
    public var fence: Int64
    /// Since the lease was renewed.
    public var leaseAge: Duration
    /// Until it runs out; zero: it has.
    public var leaseLeft: Duration
    /// Workers that are connected to it, the executions that these hold, and the environments that it looks after.
    public var workers: Int
    public var executions: Int
    public var environments: Int
}

extension ReplicaService {
    /// Those that live, and those that ended within a day.
    public func loads() async throws -> [ReplicaLoad] {
        try await database.read { [store] connection in
            try connection.rows(store.loads).map { row in
                let left = try row.integer("left_ms")
                let hasEnded = try row.optionalTimestamp("ended_at") != nil
                return ReplicaLoad(
                    record: try ReplicaRecord(row),
                    status: left > 0 ? .living : hasEnded ? .ended : .lost,
                    fence: try row.integer("fence"),
                    leaseAge: .milliseconds(max(0, try row.integer("age_ms"))),
                    leaseLeft: .milliseconds(max(0, left)),
                    workers: try row.int("workers"),
                    executions: try row.int("executions"),
                    environments: try row.int("environments")
                )
            }
        }
    }
}
