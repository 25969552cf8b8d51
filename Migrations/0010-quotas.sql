-- Per holder (a user, or the organization for what belongs to it): its tier, null for the server's default, and how many of
-- its environments count: all but those in error and on the way out.
CREATE TABLE quotas (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    holder_id TEXT NOT NULL,
    tier TEXT,
    environments BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (organization_id, holder_id)
) STRICT;

-- Memory that was promised on each server's machine to environments that count.
CREATE TABLE promised_memory (
    replica_id TEXT NOT NULL PRIMARY KEY,
    bytes BIGINT NOT NULL DEFAULT 0
) STRICT;

-- promised_bytes: of promised_memory, this one's. requested: the limits that were asked for, where less was granted.
ALTER TABLE environments ADD COLUMN is_counted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE environments ADD COLUMN promised_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE environments ADD COLUMN requested TEXT;
ALTER TABLE environments ADD COLUMN expires_at BIGINT;
-- What the last look at a running one found.
ALTER TABLE environments ADD COLUMN health TEXT;

UPDATE environments SET is_counted = 1
    WHERE deleted_at IS NULL AND observed_state NOT IN ('error', 'destroying', 'destroyed');
INSERT INTO quotas (organization_id, holder_id, environments)
    SELECT organization_id, COALESCE(owner_id, organization_id), COUNT(*) FROM environments WHERE is_counted = 1
    GROUP BY organization_id, COALESCE(owner_id, organization_id);

CREATE INDEX environments_by_expiry ON environments (expires_at) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;
