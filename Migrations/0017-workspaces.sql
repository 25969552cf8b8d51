-- A person calls a workspace by its name.
UPDATE workspaces SET name = directory
WHERE deleted_at IS NULL AND EXISTS (
    SELECT 1 FROM workspaces AS earlier
    WHERE earlier.organization_id = workspaces.organization_id AND earlier.owner_id = workspaces.owner_id
        AND earlier.name = workspaces.name AND earlier.deleted_at IS NULL AND earlier.id < workspaces.id
);
CREATE UNIQUE INDEX workspaces_by_name ON workspaces (organization_id, owner_id, name) WHERE deleted_at IS NULL;

-- state_code, state_remedy: why it failed, beside state_message. removed_at: nothing of it is kept any more.
-- credentials_sealed: logins for its remote, opened for each operation.
ALTER TABLE workspaces ADD COLUMN description TEXT;
ALTER TABLE workspaces ADD COLUMN state_code TEXT;
ALTER TABLE workspaces ADD COLUMN state_remedy TEXT;
ALTER TABLE workspaces ADD COLUMN creation_source TEXT NOT NULL DEFAULT 'MANUAL';
ALTER TABLE workspaces ADD COLUMN parent_id TEXT;
ALTER TABLE workspaces ADD COLUMN is_generated_branch INTEGER NOT NULL DEFAULT 1;
ALTER TABLE workspaces ADD COLUMN issue_number BIGINT;
ALTER TABLE workspaces ADD COLUMN issue_title TEXT;
ALTER TABLE workspaces ADD COLUMN pull_request_state TEXT NOT NULL DEFAULT 'NONE';
ALTER TABLE workspaces ADD COLUMN pull_request_ci_status TEXT NOT NULL DEFAULT 'UNKNOWN';
ALTER TABLE workspaces ADD COLUMN pull_request_review_state TEXT;
ALTER TABLE workspaces ADD COLUMN pull_request_updated_at BIGINT;
ALTER TABLE workspaces ADD COLUMN pr_review_last_checked_at BIGINT;
ALTER TABLE workspaces ADD COLUMN ratchet_last_ci_run_id TEXT;
ALTER TABLE workspaces ADD COLUMN ratchet_last_checked_at BIGINT;
ALTER TABLE workspaces ADD COLUMN ratchet_last_push_at BIGINT;
ALTER TABLE workspaces ADD COLUMN ratchet_active_session_id TEXT;
ALTER TABLE workspaces ADD COLUMN init_execution_id TEXT;
ALTER TABLE workspaces ADD COLUMN init_started_at BIGINT;
ALTER TABLE workspaces ADD COLUMN init_completed_at BIGINT;
ALTER TABLE workspaces ADD COLUMN init_retry_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workspaces ADD COLUMN has_had_sessions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workspaces ADD COLUMN auto_stop_minutes INTEGER;
ALTER TABLE workspaces ADD COLUMN cloud_workspace_id TEXT;
ALTER TABLE workspaces ADD COLUMN cloud_sync_enabled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workspaces ADD COLUMN credentials_sealed BLOB;
ALTER TABLE workspaces ADD COLUMN setup TEXT;
ALTER TABLE workspaces ADD COLUMN sync_report TEXT;
ALTER TABLE workspaces ADD COLUMN sync_checked_at BIGINT;
ALTER TABLE workspaces ADD COLUMN sync_due_at BIGINT;
ALTER TABLE workspaces ADD COLUMN archived_at BIGINT;
ALTER TABLE workspaces ADD COLUMN removed_at BIGINT;

CREATE INDEX workspaces_by_sync ON workspaces (sync_due_at) WHERE sync_due_at IS NOT NULL;

-- Each value sealed by itself, under the workspace and the name.
CREATE TABLE workspace_variables (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, name)
) STRICT;
