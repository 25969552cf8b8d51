-- Who is connected to an environment, or to a workspace in it, from what kind of client. A row lives as long as its client
-- says so.
CREATE TABLE presences (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    environment_id TEXT NOT NULL REFERENCES environments (id),
    workspace_id TEXT REFERENCES workspaces (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    client_type TEXT NOT NULL CHECK (client_type IN ('desktop', 'web')),
    connected_at BIGINT NOT NULL,
    last_heartbeat_at BIGINT NOT NULL
) STRICT;

CREATE INDEX presences_by_environment ON presences (environment_id, connected_at);
CREATE INDEX presences_by_heartbeat ON presences (last_heartbeat_at);
