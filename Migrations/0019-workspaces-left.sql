-- Variables that a workspace had on the server that it came from, and has no value of here.
CREATE TABLE workspace_missing_variables (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    PRIMARY KEY (workspace_id, name)
) STRICT;

-- Its row is removed, and its environment still keeps branches and sessions of it; looked at then.
ALTER TABLE workspaces ADD COLUMN forget_due_at BIGINT;
CREATE INDEX workspaces_by_forget ON workspaces (forget_due_at) WHERE forget_due_at IS NOT NULL;
