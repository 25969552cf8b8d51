public import Base
import Database
public import Domain

/// How workspaces stand to their remotes.
enum WorkspaceSyncStore {
    static let due: SQL =
        WorkspaceStore.columns + """
             WHERE sync_due_at <= $1 AND status = 'READY' AND custody = 'owned' AND deleted_at IS NULL
            ORDER BY sync_due_at, id LIMIT 100
            """
    static let claim: SQL = """
        UPDATE workspaces SET sync_due_at = $3 WHERE id = $1 AND sync_due_at = $2
        """
    static let report: SQL = """
        UPDATE workspaces SET sync_report = $3, sync_checked_at = $4, version = version + 1
        WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL
        """
    static let seen: SQL = """
        UPDATE workspaces SET sync_checked_at = $3 WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL
        """

    static let statements = [due, claim, report, seen]
}

extension WorkspaceService {
    /// Whether this caller is to look; the next look is then due at `next`.
    func claimSync(_ record: WorkspaceRecord, dueAt: Timestamp, next: Timestamp) async throws -> Bool {
        try await database.write { try $0.run(WorkspaceSyncStore.claim, record.id, dueAt, next) } == 1
    }

    /// Keeps what a look at the remote came to; told in the feed where it is another than before.
    @discardableResult
    public func synced(_ id: WorkspaceID, organization: OrganizationID, _ report: SyncReport) async throws
        -> WorkspaceRecord
    {
        let now = time.now
        let known = try await get(id, organization: organization, visibleTo: nil)
        guard known.sync.report != report else {
            _ = try await database.write { try $0.run(WorkspaceSyncStore.seen, id, organization, now) }
            return try await get(id, organization: organization, visibleTo: nil)
        }
        return try await feed.transaction(organization: organization) { transaction in
            try transaction.run(WorkspaceSyncStore.report, id, organization, try JSONColumn.text(report), now)
            guard let row = try transaction.first(WorkspaceStore.byID, id, organization) else { throw Self.unknown(id) }
            let record = try WorkspaceStore.record(row)
            transaction.record(try Self.fact("workspace.synced", record, by: nil, at: now))
            return record
        }
        .value
    }
}
