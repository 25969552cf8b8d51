internal import Base
internal import Database

/// Workspaces in which nothing may begin, in the worker's own database.
extension WorkerStore {
    func freeze(_ workspace: WorkspaceID, epoch: Int64) async throws {
        try await database.write { try $0.run(Self.putFrozen, workspace, epoch) }
    }

    func thaw(_ workspace: WorkspaceID) async throws {
        try await database.write { try $0.run(Self.deleteFrozen, workspace) }
    }

    /// Throws `stale` in one that is frozen: whoever asks has not heard of it.
    func checkNotFrozen(_ workspace: WorkspaceID?) async throws {
        guard let workspace else { return }
        let epoch = try await database.read { try $0.first(Self.selectFrozen, workspace)?.integer("epoch") }
        guard let epoch else { return }
        throw BerthError(
            .stale,
            "the workspace is frozen at epoch \(epoch): it is on its way to another server, or there",
            remedy: "see 'berth ws hand-overs'"
        )
    }

    private static let putFrozen: SQL = """
        INSERT INTO frozen_workspaces (workspace_id, epoch) VALUES ($1, $2)
        ON CONFLICT (workspace_id) DO UPDATE SET epoch = excluded.epoch
        """
    private static let deleteFrozen: SQL = "DELETE FROM frozen_workspaces WHERE workspace_id = $1"
    private static let selectFrozen: SQL = "SELECT epoch FROM frozen_workspaces WHERE workspace_id = $1"

    static let frozenMigration = Migration(
        version: 4,
        name: "frozen-workspaces",
        sql: """
            CREATE TABLE frozen_workspaces (workspace_id TEXT NOT NULL PRIMARY KEY, epoch BIGINT NOT NULL) STRICT;
            """
    )
}
