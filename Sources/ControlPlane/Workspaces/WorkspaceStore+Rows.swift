import Base
import Database
import Domain
import FoundationEssentials

extension WorkspaceStore {
    static func record(_ row: Row) throws -> WorkspaceRecord {
        WorkspaceRecord(
            id: try row.id("id"),
            organizationID: try row.id("organization_id"),
            ownerID: try row.id("owner_id"),
            environmentID: try row.id("environment_id"),
            repositoryID: try row.optionalID("repository_id"),
            name: try row.text("name"),
            description: try row.optionalText("description"),
            directory: try row.text("directory"),
            state: try row.value("status"),
            location: try row.value("location"),
            failure: try failure(row),
            baseReference: try row.optionalText("base_reference"),
            branch: try row.optionalText("branch") ?? "",
            isGeneratedBranch: try row.bool("is_generated_branch"),
            source: try row.value("creation_source"),
            parentID: try row.optionalID("parent_id"),
            issue: try issue(row),
            pullRequest: try pullRequest(row),
            ratchet: try ratchet(row),
            initialisation: WorkspaceRecord.Initialisation(
                executionID: try row.optionalID("init_execution_id"),
                startedAt: try row.optionalTimestamp("init_started_at"),
                completedAt: try row.optionalTimestamp("init_completed_at"),
                retries: try row.int("init_retry_count")
            ),
            hasHadSessions: try row.bool("has_had_sessions"),
            autoStopMinutes: try row.optionalInt("auto_stop_minutes"),
            cloudWorkspaceID: try row.optionalText("cloud_workspace_id"),
            isCloudSyncEnabled: try row.bool("cloud_sync_enabled"),
            hasCredentials: try row.bool("has_credentials"),
            setup: try row.optionalJSON("setup"),
            sync: WorkspaceRecord.Sync(
                report: try row.optionalJSON("sync_report"),
                checkedAt: try row.optionalTimestamp("sync_checked_at"),
                dueAt: try row.optionalTimestamp("sync_due_at")
            ),
            outcome: try row.optionalJSON("outcome"),
            createdAt: try row.timestamp("created_at"),
            stateEnteredAt: try row.timestamp("state_entered_at"),
            deadlineAt: try row.optionalTimestamp("deadline_at"),
            lastActiveAt: try row.optionalTimestamp("last_active_at"),
            archivedAt: try row.optionalTimestamp("archived_at"),
            version: try row.integer("version")
        )
    }

    private static func failure(_ row: Row) throws -> FailureReason? {
        guard let message = try row.optionalText("state_message") else { return nil }
        return FailureReason(
            try row.optionalText("state_code").map { ErrorCode(rawValue: $0) } ?? .internal,
            message,
            remedy: try row.optionalText("state_remedy")
        )
    }

    private static func issue(_ row: Row) throws -> WorkspaceRecord.Issue? {
        try row.optionalText("issue_url").map {
            WorkspaceRecord.Issue(
                url: $0,
                number: try row.optionalInt("issue_number"),
                title: try row.optionalText("issue_title")
            )
        }
    }

    private static func pullRequest(_ row: Row) throws -> WorkspaceRecord.PullRequest {
        WorkspaceRecord.PullRequest(
            url: try row.optionalText("pull_request_url"),
            number: try row.optionalInt("pull_request_number"),
            state: try row.value("pull_request_state"),
            ciStatus: try row.text("pull_request_ci_status"),
            reviewState: try row.optionalText("pull_request_review_state"),
            updatedAt: try row.optionalTimestamp("pull_request_updated_at"),
            reviewLastCheckedAt: try row.optionalTimestamp("pr_review_last_checked_at")
        )
    }

    private static func ratchet(_ row: Row) throws -> WorkspaceRecord.Ratchet {
        WorkspaceRecord.Ratchet(
            isEnabled: try row.bool("ratchet_enabled"),
            state: try row.optionalText("ratchet_state"),
            lastCIRunID: try row.optionalText("ratchet_last_ci_run_id"),
            lastCheckedAt: try row.optionalTimestamp("ratchet_last_checked_at"),
            lastPushAt: try row.optionalTimestamp("ratchet_last_push_at"),
            activeSessionID: try row.optionalText("ratchet_active_session_id")
        )
    }
}
