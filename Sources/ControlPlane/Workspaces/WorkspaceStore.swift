import Base
import Database
import Domain
import FoundationEssentials

/// The rows of `repositories` and `workspaces`.
enum WorkspaceStore {
    static let repositoryColumns: SQL = """
        SELECT id, organization_id, owner_id, url, default_branch, created_at FROM repositories
        """
    static let repositoryByURL: SQL =
        repositoryColumns + " WHERE organization_id = $1 AND url = $2 AND deleted_at IS NULL"
    static let repositoryByID: SQL =
        repositoryColumns + " WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL"
    static let repositoryList: SQL =
        repositoryColumns + """
             WHERE organization_id = $1 AND deleted_at IS NULL AND id > $2 ORDER BY id LIMIT $3
            """
    static let repositoryInsert: SQL = """
        INSERT INTO repositories (id, organization_id, owner_id, url, default_branch, created_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        """
    static let columns: SQL = """
        SELECT id, organization_id, owner_id, environment_id, repository_id, name, description, directory, status,
            location, state_message, state_code, state_remedy, base_reference, branch, is_generated_branch,
            creation_source, parent_id, issue_url, issue_number, issue_title, pull_request_url, pull_request_number,
            pull_request_state, pull_request_ci_status, pull_request_review_state, pull_request_updated_at,
            pr_review_last_checked_at, ratchet_enabled, ratchet_state, ratchet_last_ci_run_id, ratchet_last_checked_at,
            ratchet_last_push_at, ratchet_active_session_id, init_execution_id, init_started_at, init_completed_at,
            init_retry_count, has_had_sessions, auto_stop_minutes, cloud_workspace_id, cloud_sync_enabled,
            CASE WHEN credentials_sealed IS NULL THEN 0 ELSE 1 END AS has_credentials, setup, sync_report,
            sync_checked_at, sync_due_at, outcome, version, created_at, state_entered_at, deadline_at, last_active_at,
            archived_at
        FROM workspaces
        """
    static let byID: SQL = columns + " WHERE id = $1 AND organization_id = $2 AND removed_at IS NULL"
    static let byName: SQL =
        columns + """
             WHERE organization_id = $1 AND owner_id = $2 AND name = $3 AND removed_at IS NULL
            ORDER BY CASE WHEN deleted_at IS NULL THEN 0 ELSE 1 END, id DESC LIMIT 1
            """
    /// $6: with those that are archived.
    static let list: SQL =
        columns + """
             WHERE organization_id = $1 AND (CAST($2 AS TEXT) IS NULL OR owner_id = $2)
                AND (CAST($3 AS TEXT) IS NULL OR environment_id = $3) AND (CAST($4 AS TEXT) IS NULL OR id < $4)
                AND (deleted_at IS NULL OR (CAST($6 AS INTEGER) = 1 AND removed_at IS NULL))
            ORDER BY id DESC LIMIT $5
            """
    static let custody: SQL = "SELECT custody FROM workspaces WHERE id = $1 AND organization_id = $2"
    static let nameIsTaken: SQL = """
        SELECT id FROM workspaces WHERE organization_id = $1 AND owner_id = $2 AND name = $3 AND deleted_at IS NULL
        """
    static let sameBranch: SQL = """
        SELECT id, name FROM workspaces
        WHERE environment_id = $1 AND repository_id = $2 AND branch = $3 AND status <> 'FAILED' AND deleted_at IS NULL
        ORDER BY id LIMIT 1
        """
    static let sameDirectory: SQL = """
        SELECT id, name FROM workspaces WHERE environment_id = $1 AND directory = $2 AND deleted_at IS NULL
        """
    static let insert: SQL = """
        INSERT INTO workspaces
            (id, organization_id, owner_id, environment_id, repository_id, name, directory, status, location,
             base_reference, branch, issue_url, created_at, state_entered_at, description, creation_source, parent_id,
             is_generated_branch, issue_number, issue_title, auto_stop_minutes, cloud_sync_enabled, credentials_sealed,
             setup, deadline_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
             $23, $24, $25)
        """
    /// The fence is in the statement.
    static let update: SQL = """
        UPDATE workspaces
        SET status = $4, state_message = $5, state_entered_at = $6, base_commit = COALESCE($7, base_commit),
            head_commit = COALESCE($8, head_commit), branch = COALESCE($9, branch), outcome = COALESCE($10, outcome),
            last_active_at = $11, deleted_at = $12, state_code = $13, state_remedy = $14, init_execution_id = $15,
            init_started_at = $16, init_completed_at = $17, init_retry_count = $18, archived_at = $12,
            deadline_at = $19, sync_due_at = $20, version = version + 1
        WHERE id = $1 AND organization_id = $2 AND version = $3
        """
    static let edit: SQL = """
        UPDATE workspaces
        SET name = $4, description = $5, cloud_sync_enabled = $6, sync_due_at = $7, auto_stop_minutes = $8,
            pull_request_url = $9, pull_request_number = $10, ratchet_enabled = $11, version = version + 1
        WHERE id = $1 AND organization_id = $2 AND version = $3
        """
    static let remove: SQL = """
        UPDATE workspaces SET removed_at = $4, forget_due_at = $4, version = version + 1
        WHERE id = $1 AND organization_id = $2 AND version = $3 AND status = 'ARCHIVED' AND removed_at IS NULL
        """
    static let credentials: SQL = """
        SELECT credentials_sealed FROM workspaces WHERE id = $1 AND organization_id = $2
        """
    static let overdue: SQL =
        columns + """
             WHERE deadline_at <= $1 AND status IN ('NEW', 'PROVISIONING') AND deleted_at IS NULL
            ORDER BY deadline_at, id LIMIT 100
            """
    static let postpone: SQL = """
        UPDATE workspaces SET deadline_at = $3 WHERE id = $1 AND version = $2
        """

    /// Removed, and not from their environments yet.
    static let forgetDue: SQL = columns + " WHERE forget_due_at <= $1 ORDER BY forget_due_at, id LIMIT 100"
    static let forgetLater: SQL = "UPDATE workspaces SET forget_due_at = $2 WHERE id = $1 AND forget_due_at IS NOT NULL"
    static let forgotten: SQL = """
        UPDATE workspaces SET forget_due_at = NULL, credentials_sealed = NULL WHERE id = $1
        """

    /// For the test that prepares every statement.
    static let statements = [
        repositoryByURL, repositoryByID, repositoryList, repositoryInsert, byID, byName, list, custody, nameIsTaken,
        sameBranch, sameDirectory, insert, update, edit, remove, credentials, overdue, postpone, forgetDue,
        forgetLater, forgotten,
    ]

    static func repository(_ row: Row) throws -> RepositoryRecord {
        let url = try row.text("url")
        return RepositoryRecord(
            id: try row.id("id"),
            organizationID: try row.id("organization_id"),
            ownerID: try row.optionalID("owner_id"),
            url: url,
            name: try RepositoryURL(url).name,
            defaultBranch: try row.optionalText("default_branch"),
            createdAt: try row.timestamp("created_at")
        )
    }

    static func machine(_ record: WorkspaceRecord) -> WorkspaceMachine {
        switch record.state {
        case .new: WorkspaceMachine(.new)
        case .provisioning: WorkspaceMachine(.provisioning)
        case .ready: WorkspaceMachine(.ready)
        case .failed: WorkspaceMachine(.failed(record.failure ?? FailureReason(.internal, "")))
        case .archived: WorkspaceMachine(.archived)
        }
    }
}
