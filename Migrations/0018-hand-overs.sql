-- Hand-overs of workspaces between servers. The epoch says how often a workspace has changed its owner, on any server;
-- whoever writes for an agent writes at the epoch that it began with.

ALTER TABLE workspaces ADD COLUMN epoch BIGINT NOT NULL DEFAULT 1;
ALTER TABLE workspaces ADD COLUMN custody TEXT NOT NULL DEFAULT 'owned'
    CHECK (custody IN ('owned', 'frozen', 'away', 'arriving', 'orphaned'));

-- One row on each side, under the same id. is_driver: this server talks to the other, with token_sealed.
CREATE TABLE hand_overs (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    owner_id TEXT NOT NULL REFERENCES users (id),
    side TEXT NOT NULL CHECK (side IN ('source', 'destination')),
    is_driver INTEGER NOT NULL,
    state TEXT NOT NULL,
    stage TEXT NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    -- Of the workspace's row before it.
    custody_before TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    peer_name TEXT NOT NULL,
    peer_url TEXT,
    peer_pin TEXT,
    peer_workspace_id TEXT,
    peer_location TEXT,
    token_sealed BLOB,
    includes_ignored INTEGER NOT NULL,
    ignored_limit BIGINT NOT NULL,
    archive_bytes BIGINT,
    archive_sha256 TEXT,
    summary TEXT,
    failure TEXT,
    version BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL,
    state_entered_at BIGINT NOT NULL,
    -- The last word of the other side, or step of this one.
    progress_at BIGINT NOT NULL,
    -- What was kept of it is removed, and the token with it.
    cleared_at BIGINT
) STRICT;

CREATE UNIQUE INDEX hand_overs_open ON hand_overs (workspace_id)
    WHERE state IN ('PREPARING', 'COMMITTED', 'STAGING', 'PREPARED');
CREATE INDEX hand_overs_by_organization ON hand_overs (organization_id, id);
CREATE INDEX hand_overs_by_workspace ON hand_overs (workspace_id, id);
CREATE INDEX hand_overs_by_peer ON hand_overs (organization_id, peer_workspace_id, id);
CREATE INDEX hand_overs_unsettled ON hand_overs (id) WHERE cleared_at IS NULL;

-- How far people are with their personal environments: of a login only whether there is one.
CREATE TABLE setups (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    logins TEXT NOT NULL,
    checked_at BIGINT NOT NULL,
    completed_at BIGINT,
    PRIMARY KEY (organization_id, user_id)
) STRICT;
