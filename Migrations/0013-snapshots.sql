-- Environments that were kept with their memory. A row ends when the provider has nothing of it any more. Transient ones
-- stay for as long as an environment is to be made out of them.
CREATE TABLE snapshots (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    environment_id TEXT NOT NULL REFERENCES environments (id),
    owner_id TEXT,
    instance BIGINT NOT NULL,
    spec TEXT NOT NULL,
    state TEXT NOT NULL,
    is_transient INTEGER NOT NULL DEFAULT 0,
    failure TEXT,
    created_at BIGINT NOT NULL,
    ready_at BIGINT,
    deadline_at BIGINT,
    replica_id TEXT
) STRICT;

CREATE INDEX snapshots_by_environment ON snapshots (environment_id, id);
CREATE INDEX snapshots_under_way ON snapshots (replica_id, id) WHERE state IN ('making', 'removing') OR is_transient = 1;

-- What an environment is to be made out of, until it is made; and where its next boot goes back to.
ALTER TABLE environments ADD COLUMN origin_snapshot_id TEXT;
ALTER TABLE environments ADD COLUMN restore_snapshot_id TEXT;

CREATE INDEX environments_by_origin ON environments (origin_snapshot_id) WHERE origin_snapshot_id IS NOT NULL;
CREATE INDEX environments_by_restore ON environments (restore_snapshot_id) WHERE restore_snapshot_id IS NOT NULL;
