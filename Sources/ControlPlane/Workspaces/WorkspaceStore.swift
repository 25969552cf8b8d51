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
        SELECT id, organization_id, owner_id, environment_id, repository_id, name, directory, status, location,
            state_message, base_reference, branch, issue_url, pull_request_url, outcome, version, created_at,
            state_entered_at, last_active_at
        FROM workspaces
        """
    static let byID: SQL = columns + " WHERE id = $1 AND organization_id = $2"
    static let list: SQL =
        columns + """
             WHERE organization_id = $1 AND (CAST($2 AS TEXT) IS NULL OR owner_id = $2)
                AND (CAST($3 AS TEXT) IS NULL OR environment_id = $3) AND (CAST($4 AS TEXT) IS NULL OR id < $4)
                AND deleted_at IS NULL
            ORDER BY id DESC LIMIT $5
            """
    static let insert: SQL = """
        INSERT INTO workspaces
            (id, organization_id, owner_id, environment_id, repository_id, name, directory, status, location,
             base_reference, branch, issue_url, created_at, state_entered_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        """
    /// The fence is in the statement.
    static let update: SQL = """
        UPDATE workspaces
        SET status = $4, state_message = $5, state_entered_at = $6, base_commit = COALESCE($7, base_commit),
            head_commit = COALESCE($8, head_commit), branch = COALESCE($9, branch), outcome = COALESCE($10, outcome),
            last_active_at = $11, deleted_at = $12, version = version + 1
        WHERE id = $1 AND organization_id = $2 AND version = $3
        """

    /// For the test that prepares every statement.
    static let statements = [
        repositoryByURL, repositoryByID, repositoryList, repositoryInsert, byID, list, insert, update,
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

    static func record(_ row: Row) throws -> WorkspaceRecord {
        WorkspaceRecord(
            id: try row.id("id"),
            organizationID: try row.id("organization_id"),
            ownerID: try row.id("owner_id"),
            environmentID: try row.id("environment_id"),
            repositoryID: try row.optionalID("repository_id"),
            name: try row.text("name"),
            directory: try row.text("directory"),
            state: try row.value("status"),
            location: try row.value("location"),
            message: try row.optionalText("state_message"),
            baseReference: try row.optionalText("base_reference"),
            branch: try row.optionalText("branch") ?? "",
            issueURL: try row.optionalText("issue_url"),
            pullRequestURL: try row.optionalText("pull_request_url"),
            outcome: try row.optionalText("outcome").map {
                try JSONDecoder().decode(WorkspaceOutcome.self, from: Data($0.utf8))
            },
            createdAt: try row.timestamp("created_at"),
            stateEnteredAt: try row.timestamp("state_entered_at"),
            lastActiveAt: try row.optionalTimestamp("last_active_at"),
            version: try row.integer("version")
        )
    }

    static func machine(_ record: WorkspaceRecord) -> WorkspaceMachine {
        switch record.state {
        case .new: WorkspaceMachine(.new)
        case .provisioning: WorkspaceMachine(.provisioning)
        case .ready: WorkspaceMachine(.ready)
        case .failed: WorkspaceMachine(.failed(FailureReason(.internal, record.message ?? "")))
        case .archived: WorkspaceMachine(.archived)
        }
    }
}
