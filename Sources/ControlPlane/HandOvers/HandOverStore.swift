import Base
import Database
import Domain

/// The rows of `hand_overs`, and of `workspaces` what a hand-over changes.
enum HandOverStore {
    static let columns: SQL = """
        SELECT id, organization_id, owner_id, side, is_driver, state, stage, workspace_id, custody_before, epoch,
            peer_name, peer_url, peer_pin, peer_workspace_id, peer_location, token_sealed, includes_ignored,
            ignored_limit, archive_bytes, archive_sha256, summary, failure, version, created_at, state_entered_at,
            progress_at, cleared_at
        FROM hand_overs
        """
    static let byID: SQL = columns + " WHERE id = $1"
    static let open: SQL =
        columns + " WHERE workspace_id = $1 AND state IN ('PREPARING', 'COMMITTED', 'STAGING', 'PREPARED')"
    static let latest: SQL = columns + " WHERE workspace_id = $1 ORDER BY id DESC LIMIT 1"
    static let unsettled: SQL = columns + " WHERE cleared_at IS NULL ORDER BY id LIMIT 1000"
    static let list: SQL =
        columns + """
             WHERE organization_id = $1 AND (CAST($2 AS TEXT) IS NULL OR owner_id = $2)
                AND (CAST($3 AS TEXT) IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """
    static let highestEpoch: SQL = "SELECT MAX(epoch) AS epoch FROM hand_overs WHERE workspace_id = $1"
    /// The row that an earlier hand-over left of the same workspace.
    static let twin: SQL = """
        SELECT h.workspace_id FROM hand_overs h JOIN workspaces w ON w.id = h.workspace_id
        WHERE h.organization_id = $1 AND h.peer_workspace_id = $2 AND h.owner_id = $3 AND w.deleted_at IS NULL
            AND w.custody IN ('away', 'orphaned', 'arriving')
        ORDER BY h.id DESC LIMIT 1
        """
    static let insert: SQL = """
        INSERT INTO hand_overs
            (id, organization_id, owner_id, side, is_driver, state, stage, workspace_id, custody_before, epoch,
             peer_name, peer_url, peer_pin, peer_workspace_id, token_sealed, includes_ignored, ignored_limit,
             created_at, state_entered_at, progress_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
        """
    /// The fence is in the statement.
    static let update: SQL = """
        UPDATE hand_overs
        SET is_driver = $3, state = $4, stage = $5, epoch = $6, peer_name = $7, peer_url = $8, peer_pin = $9,
            peer_workspace_id = $10, peer_location = $11, token_sealed = $12, archive_bytes = $13,
            archive_sha256 = $14, summary = $15, failure = $16, state_entered_at = $17, progress_at = $18,
            cleared_at = $19, version = version + 1
        WHERE id = $1 AND version = $2
        """

    /// Also one that is removed.
    static let anyWorkspace: SQL = """
        SELECT w.id, w.owner_id, w.environment_id, r.url AS url, w.name, w.directory, w.status, w.custody, w.epoch,
            w.base_reference, w.branch, w.issue_url, w.pull_request_url, w.pull_request_number, w.ratchet_enabled,
            w.ratchet_state, w.version, w.description, w.creation_source, w.is_generated_branch, w.issue_number,
            w.issue_title, w.pull_request_state, w.pull_request_ci_status, w.pull_request_review_state,
            w.pull_request_updated_at, w.pr_review_last_checked_at, w.ratchet_last_ci_run_id,
            w.ratchet_last_checked_at, w.ratchet_last_push_at, w.ratchet_active_session_id, w.has_had_sessions,
            w.auto_stop_minutes, w.cloud_sync_enabled,
            CASE WHEN w.credentials_sealed IS NULL THEN 0 ELSE 1 END AS has_credentials,
            (SELECT COUNT(*) FROM executions e WHERE e.workspace_id = w.id) AS runs
        FROM workspaces w LEFT JOIN repositories r ON r.id = w.repository_id
        WHERE w.id = $1 AND w.organization_id = $2
        """
    static let workspaceByID: SQL = anyWorkspace + " AND w.deleted_at IS NULL"
    static let running: SQL = """
        SELECT id FROM executions WHERE workspace_id = $1 AND state IN ('queued', 'assigned', 'running')
        ORDER BY id LIMIT 5
        """
    static let hold: SQL = """
        UPDATE workspaces
        SET custody = $3, epoch = $4, location = COALESCE($5, location),
            cloud_workspace_id = COALESCE($6, cloud_workspace_id), version = version + 1
        WHERE id = $1 AND version = $2
        """
    /// What the other side says of a workspace that it had.
    static let adopt: SQL = """
        UPDATE workspaces
        SET name = $3, branch = $4, base_reference = $5, issue_url = $6, pull_request_url = $7,
            pull_request_number = $8, ratchet_enabled = $9, ratchet_state = $10, status = 'READY',
            state_entered_at = $11, last_active_at = $11, description = $12, creation_source = $13,
            is_generated_branch = $14, issue_number = $15, issue_title = $16, pull_request_state = $17,
            pull_request_ci_status = $18, pull_request_review_state = $19, pull_request_updated_at = $20,
            pr_review_last_checked_at = $21, ratchet_last_ci_run_id = $22, ratchet_last_checked_at = $23,
            ratchet_last_push_at = $24, ratchet_active_session_id = $25, has_had_sessions = $26,
            auto_stop_minutes = $27, cloud_sync_enabled = $28, sync_due_at = $29, version = version + 1
        WHERE id = $1 AND version = $2
        """
    static let sameBranch: SQL = """
        SELECT name FROM workspaces
        WHERE environment_id = $1 AND repository_id = $2 AND branch = $3 AND id <> $4 AND status <> 'FAILED'
            AND custody = 'owned' AND deleted_at IS NULL
        ORDER BY id LIMIT 1
        """
    static let variableNames: SQL = "SELECT name FROM workspace_variables WHERE workspace_id = $1 ORDER BY name"
    static let missingNames: SQL = """
        SELECT name FROM workspace_missing_variables WHERE workspace_id = $1 ORDER BY name
        """
    static let missingClear: SQL = "DELETE FROM workspace_missing_variables WHERE workspace_id = $1"
    static let missingInsert: SQL = "INSERT INTO workspace_missing_variables (workspace_id, name) VALUES ($1, $2)"
    static let workspaceInsert: SQL = """
        INSERT INTO workspaces
            (id, organization_id, owner_id, environment_id, repository_id, name, directory, status, location,
             base_reference, branch, issue_url, pull_request_url, pull_request_number, ratchet_enabled, ratchet_state,
             created_at, state_entered_at, epoch, custody)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 'READY', $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 'arriving')
        """
    static let remove: SQL = "UPDATE workspaces SET deleted_at = $2, version = version + 1 WHERE id = $1"

    /// For the test that prepares every statement.
    static let statements = [
        byID, open, latest, unsettled, list, highestEpoch, twin, insert, update, anyWorkspace, workspaceByID, running,
        hold, adopt, sameBranch, variableNames, missingNames, missingClear, missingInsert, workspaceInsert, remove,
    ]

    static func record(_ row: Row) throws -> HandOverRecord {
        HandOverRecord(
            id: try row.id("id"),
            organizationID: try row.id("organization_id"),
            ownerID: try row.id("owner_id"),
            machine: HandOverMachine(
                try row.value("state"),
                side: try row.value("side"),
                epoch: try row.integer("epoch")
            ),
            isDriver: try row.bool("is_driver"),
            stage: try row.text("stage"),
            workspaceID: try row.id("workspace_id"),
            custodyBefore: try row.value("custody_before"),
            peerName: try row.text("peer_name"),
            peerURL: try row.optionalText("peer_url"),
            peerPin: try row.optionalText("peer_pin"),
            peerWorkspaceID: try row.optionalID("peer_workspace_id"),
            peerLocation: try row.optionalValue("peer_location"),
            sealedToken: try row.optionalBlob("token_sealed"),
            includesIgnored: try row.bool("includes_ignored"),
            ignoredLimit: try row.integer("ignored_limit"),
            archiveBytes: try row.optionalInteger("archive_bytes"),
            archiveDigest: try row.optionalText("archive_sha256"),
            summary: try row.optionalText("summary"),
            failure: try row.optionalJSON("failure"),
            version: try row.integer("version"),
            createdAt: try row.timestamp("created_at"),
            stateEnteredAt: try row.timestamp("state_entered_at"),
            progressAt: try row.timestamp("progress_at"),
            clearedAt: try row.optionalTimestamp("cleared_at")
        )
    }

    static func workspace(_ row: Row) throws -> HandedRow {
        HandedRow(
            id: try row.id("id"),
            ownerID: try row.id("owner_id"),
            environmentID: try row.id("environment_id"),
            repositoryURL: try row.optionalText("url"),
            name: try row.text("name"),
            directory: try row.text("directory"),
            state: try row.value("status"),
            custody: try row.value("custody"),
            epoch: try row.integer("epoch"),
            baseReference: try row.optionalText("base_reference"),
            branch: try row.optionalText("branch") ?? "",
            issueURL: try row.optionalText("issue_url"),
            pullRequestURL: try row.optionalText("pull_request_url"),
            pullRequestNumber: try row.optionalInteger("pull_request_number"),
            ratchetEnabled: try row.bool("ratchet_enabled"),
            ratchetState: try row.optionalText("ratchet_state"),
            details: try details(row),
            version: try row.integer("version")
        )
    }

    private static func details(_ row: Row) throws -> HandedDetails {
        HandedDetails(
            description: try row.optionalText("description"),
            creationSource: try row.value("creation_source"),
            isGeneratedBranch: try row.bool("is_generated_branch"),
            issueNumber: try row.optionalInt("issue_number"),
            issueTitle: try row.optionalText("issue_title"),
            pullRequestState: try row.value("pull_request_state"),
            pullRequestCIStatus: try row.text("pull_request_ci_status"),
            pullRequestReviewState: try row.optionalText("pull_request_review_state"),
            pullRequestUpdatedAt: try row.optionalTimestamp("pull_request_updated_at"),
            reviewLastCheckedAt: try row.optionalTimestamp("pr_review_last_checked_at"),
            ratchetLastCIRunID: try row.optionalText("ratchet_last_ci_run_id"),
            ratchetLastCheckedAt: try row.optionalTimestamp("ratchet_last_checked_at"),
            ratchetLastPushAt: try row.optionalTimestamp("ratchet_last_push_at"),
            ratchetActiveSessionID: try row.optionalText("ratchet_active_session_id"),
            hasHadSessions: try row.bool("has_had_sessions"),
            autoStopMinutes: try row.optionalInt("auto_stop_minutes"),
            isCloudSyncEnabled: try row.bool("cloud_sync_enabled"),
            hasCredentials: try row.bool("has_credentials"),
            runs: try row.int("runs")
        )
    }
}
