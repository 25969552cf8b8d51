-- Bytes that a caller gave for an execution to come; they lie in a file named by the id. Gone with the execution's end,
-- or at expires_at when no execution took them.
CREATE TABLE uploads (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    owner_id TEXT NOT NULL REFERENCES users (id),
    byte_count BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    execution_id TEXT REFERENCES executions (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
) STRICT;

CREATE INDEX uploads_by_expiry ON uploads (expires_at);
CREATE INDEX uploads_by_execution ON uploads (execution_id) WHERE execution_id IS NOT NULL;
