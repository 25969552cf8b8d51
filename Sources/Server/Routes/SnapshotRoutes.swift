import API
import Base
import Database
import Domain
import Environments
import Transport

/// `/v1/environments/{environmentId}/snapshots`, `fork` and `restore`.
extension ServerCore {
    func snapshotRoute(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let id = try await environment(context).id
        let (organization, user, visible) = (principal.organizationID, principal.userID, principal.visibleUser)
        switch context.route.id {
        case .snapshotCreate:
            let made = try await environments.snapshot(id, organization: organization, by: user, visibleTo: visible)
            return try Self.json(EnvironmentSnapshot(made), status: 202)
        case .snapshotList:
            let found = try await environments.snapshots(of: id, organization: organization, visibleTo: visible)
            return try Self.json(Page(items: found.map(EnvironmentSnapshot.init)))
        case .snapshotGet: return try Self.json(EnvironmentSnapshot(try await settledSnapshot(context, of: id)))
        case .snapshotRemove:
            let removed = try await environments.removeSnapshot(
                try context.id("snapshotId"),
                of: id,
                organization: organization,
                by: user,
                visibleTo: visible
            )
            return try Self.json(EnvironmentSnapshot(removed), status: 202)
        case .environmentFork:
            let body: ForkEnvironment = try await context.body(limit: configuration.maximumBodyBytes)
            let fork = try await environments.fork(
                id,
                from: body.snapshotId,
                name: body.name,
                organization: organization,
                by: user,
                visibleTo: visible
            )
            return Self.environment(fork, status: 201)
        case .environmentRestore:
            let body: RestoreEnvironment = try await context.body(limit: configuration.maximumBodyBytes)
            let record = try await environments.restore(
                id,
                to: body.snapshotId,
                organization: organization,
                by: user,
                visibleTo: visible
            )
            return Self.environment(record, status: 202)
        default: throw BerthError(.internal, "\(context.route.id.rawValue) is not about snapshots")
        }
    }

    /// As it is, or what it has become when it was made, at most after `waitMs`.
    private func settledSnapshot(_ context: RequestContext, of id: EnvironmentID) async throws -> SnapshotRecord {
        let principal = try context.principal
        let organization = principal.organizationID
        let snapshot: SnapshotID = try context.id("snapshotId")
        let deadline = time.uptime + .milliseconds(try context.integer("waitMs", default: 0))
        while true {
            let position = try await feed.position(organization)
            let found = try await environments.snapshot(
                snapshot,
                of: id,
                organization: organization,
                visibleTo: principal.visibleUser
            )
            guard found.state == .making, time.uptime < deadline else { return found }
            try await waitForChange(organization, after: position, atMost: deadline - time.uptime)
        }
    }
}

extension EnvironmentSnapshot {
    init(_ record: SnapshotRecord) {
        self.init(
            id: record.id,
            environmentId: record.environmentID,
            status: record.state.rawValue,
            instance: record.instance,
            spec: record.spec,
            isTransient: record.isTransient,
            createdAt: record.createdAt
        )
        failure = record.failure
        readyAt = record.readyAt
        deadlineAt = record.deadlineAt
    }
}
