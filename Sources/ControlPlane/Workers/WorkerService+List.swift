public import Base
public import Database
import Domain

extension WorkerService {
    public func list(
        _ organization: OrganizationID,
        visibleTo user: UserID?,
        after: WorkerID?,
        limit: Int
    ) async throws -> [WorkerRecord] {
        try await database.read { [self] connection in
            try list(organization, visibleTo: user, after: after, limit: limit, in: connection)
        }
    }

    /// By id, within a read of the caller's.
    public func list(
        _ organization: OrganizationID,
        visibleTo user: UserID?,
        after: WorkerID?,
        limit: Int,
        in connection: any SQLConnection
    ) throws -> [WorkerRecord] {
        try connection.rows(WorkerStore.list, organization, user, after?.text ?? "", limit).map {
            try record($0, in: connection)
        }
    }

    /// nil where there is none that `user` may see.
    public func find(
        _ id: WorkerID,
        organization: OrganizationID,
        visibleTo user: UserID?,
        in connection: any SQLConnection
    ) throws -> WorkerRecord? {
        try connection.first(WorkerStore.byID, organization, user, id).map { try record($0, in: connection) }
    }

    private func record(_ row: Row, in connection: any SQLConnection) throws -> WorkerRecord {
        let id: WorkerID = try row.id("id")
        let entry = registry.entry(id)
        // Connected to another server, by its row.
        let replica: ReplicaID? = try row.optionalID("replica_id")
        let isElsewhere =
            try replica != nil && replica != registry.seat.id && row.optionalTimestamp("connected_at") != nil
            && row.optionalTimestamp("disconnected_at") == nil
        var slots = entry?.slots ?? 0
        var executions = entry?.keys.map(\.executionID) ?? []
        if isElsewhere {
            slots = try row.int("slots")
            executions = try connection.rows(WorkerStore.openAttempts, id).map { try $0.id("execution_id") }
        }
        return WorkerRecord(
            id: id,
            name: try row.text("name"),
            environmentID: try row.optionalID("environment_id"),
            instance: try row.optionalInteger("instance"),
            version: try row.optionalText("version"),
            protocolVersion: try row.optionalInt("protocol"),
            capabilities: try WorkerStore.capabilities(try row.text("capabilities")),
            slots: slots,
            executions: executions,
            isConnected: entry?.link != nil || isElsewhere,
            connectedAt: try row.optionalTimestamp("connected_at"),
            lastHeardAt: try row.optionalTimestamp("last_heard_at"),
            createdAt: try row.timestamp("created_at")
        )
    }
}
