-- The first schema. Ids are TEXT made by Berth, times BIGINT milliseconds since 1970, booleans 0/1, JSON is TEXT that no
-- query looks into. Every row of a tenant carries organization_id; what belongs to a person carries owner_id.

CREATE TABLE organizations (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
) STRICT;

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT UNIQUE,
    created_at BIGINT NOT NULL
) STRICT;

CREATE TABLE members (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'contributor')),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, user_id)
) STRICT;

CREATE INDEX members_by_user ON members (user_id);

-- Only the SHA-256 of a key is kept; the last four characters help a person to recognise it.
CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    key_hash BLOB NOT NULL UNIQUE,
    key_ending TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT,
    FOREIGN KEY (organization_id, user_id) REFERENCES members (organization_id, user_id)
) STRICT;

CREATE INDEX api_keys_by_user ON api_keys (organization_id, user_id, id);

-- One row per organization: the number of its last event. Its row lock orders commits.
CREATE TABLE feed (
    organization_id TEXT NOT NULL PRIMARY KEY REFERENCES organizations (id),
    seq BIGINT NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE events (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    seq BIGINT NOT NULL,
    type TEXT NOT NULL,
    version INTEGER NOT NULL,
    subject TEXT NOT NULL,
    owner_id TEXT,
    actor_id TEXT,
    payload TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, seq)
) STRICT;

CREATE INDEX events_by_subject ON events (organization_id, subject, seq);

CREATE TABLE repositories (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    owner_id TEXT REFERENCES users (id),
    url TEXT NOT NULL,
    default_branch TEXT,
    scripts TEXT NOT NULL DEFAULT '{}',
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
) STRICT;

CREATE UNIQUE INDEX repositories_by_url ON repositories (organization_id, url) WHERE deleted_at IS NULL;

-- `instance` counts boots and fences every write that comes from one; `version` fences everything else.
CREATE TABLE environments (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    owner_id TEXT REFERENCES users (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('personal', 'further', 'organization')),
    provider TEXT NOT NULL,
    spec TEXT NOT NULL,
    desired_state TEXT NOT NULL,
    observed_state TEXT NOT NULL,
    state_message TEXT,
    state_cause TEXT,
    instance BIGINT NOT NULL DEFAULT 0,
    provider_instance_id TEXT,
    limits_enforced TEXT,
    limitations TEXT NOT NULL DEFAULT '[]',
    created_at BIGINT NOT NULL,
    state_entered_at BIGINT NOT NULL,
    deadline_at BIGINT,
    last_health_check_at BIGINT,
    last_active_at BIGINT,
    auto_stop_minutes INTEGER,
    version BIGINT NOT NULL DEFAULT 1,
    deleted_at BIGINT
) STRICT;

CREATE UNIQUE INDEX environments_personal ON environments (organization_id, owner_id)
    WHERE kind = 'personal' AND deleted_at IS NULL;
CREATE UNIQUE INDEX environments_by_name ON environments (organization_id, owner_id, name) WHERE deleted_at IS NULL;
CREATE INDEX environments_by_organization ON environments (organization_id, id);
CREATE INDEX environments_by_deadline ON environments (deadline_at) WHERE deadline_at IS NOT NULL;
CREATE INDEX environments_unsettled ON environments (id) WHERE desired_state <> observed_state;

CREATE TABLE workspaces (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    owner_id TEXT NOT NULL REFERENCES users (id),
    environment_id TEXT NOT NULL REFERENCES environments (id),
    repository_id TEXT REFERENCES repositories (id),
    name TEXT NOT NULL,
    directory TEXT NOT NULL,
    status TEXT NOT NULL,
    location TEXT NOT NULL CHECK (location IN ('DESKTOP', 'CLOUD')),
    state_message TEXT,
    base_reference TEXT,
    branch TEXT,
    base_commit TEXT,
    head_commit TEXT,
    issue_url TEXT,
    pull_request_url TEXT,
    pull_request_number BIGINT,
    ratchet_enabled INTEGER NOT NULL DEFAULT 0,
    ratchet_state TEXT,
    outcome TEXT,
    version BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL,
    state_entered_at BIGINT NOT NULL,
    deadline_at BIGINT,
    last_active_at BIGINT,
    deleted_at BIGINT
) STRICT;

CREATE UNIQUE INDEX workspaces_by_directory ON workspaces (environment_id, directory) WHERE deleted_at IS NULL;
CREATE INDEX workspaces_by_organization ON workspaces (organization_id, id);
CREATE INDEX workspaces_by_deadline ON workspaces (deadline_at) WHERE deadline_at IS NOT NULL;

-- `attempt` is the fence of what workers report, `version` of everything else; columns from exit_code on are written once,
-- with the end. The title is sealed as the prompt is.
CREATE TABLE executions (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    owner_id TEXT NOT NULL REFERENCES users (id),
    environment_id TEXT REFERENCES environments (id),
    workspace_id TEXT REFERENCES workspaces (id),
    persona_id TEXT,
    agent TEXT NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('queued', 'assigned', 'running', 'completed', 'failed', 'cancelled', 'timedOut')),
    spec TEXT NOT NULL,
    title_sealed BLOB,
    attempt INTEGER NOT NULL DEFAULT 0,
    version BIGINT NOT NULL DEFAULT 1,
    cancel_requested_at BIGINT,
    cancelled_by TEXT,
    exit_code INTEGER,
    failure_code TEXT,
    failure_message TEXT,
    agent_session_id TEXT,
    model TEXT,
    input_tokens BIGINT,
    output_tokens BIGINT,
    cost_usd_micros BIGINT,
    turns INTEGER,
    duration_ms BIGINT,
    result TEXT,
    created_at BIGINT NOT NULL,
    assigned_at BIGINT,
    started_at BIGINT,
    ended_at BIGINT,
    deadline_at BIGINT,
    state_entered_at BIGINT NOT NULL
) STRICT;

CREATE INDEX executions_by_organization ON executions (organization_id, id);
CREATE INDEX executions_by_owner ON executions (organization_id, owner_id, id);
CREATE INDEX executions_by_workspace ON executions (workspace_id, id);
CREATE INDEX executions_open ON executions (environment_id, id) WHERE state IN ('queued', 'assigned', 'running');
CREATE INDEX executions_by_deadline ON executions (deadline_at)
    WHERE deadline_at IS NOT NULL AND state IN ('queued', 'assigned', 'running');

CREATE INDEX executions_queued ON executions (environment_id, id) WHERE state = 'queued';

-- Apart from the row that changes, because a prompt may have megabytes. Sealed (AES-256-GCM, key id in the record);
-- secrets_sealed, the variables and logins, is cleared at the end.
CREATE TABLE execution_inputs (
    execution_id TEXT NOT NULL PRIMARY KEY REFERENCES executions (id),
    organization_id TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    command_sealed BLOB,
    secrets_sealed BLOB,
    prompt_sealed BLOB NOT NULL
) STRICT;

-- A worker that stands alone is known by its name and has no token of its own.
CREATE TABLE workers (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    owner_id TEXT REFERENCES users (id),
    environment_id TEXT REFERENCES environments (id),
    instance BIGINT,
    name TEXT NOT NULL,
    token_hash BLOB UNIQUE,
    version TEXT,
    protocol INTEGER,
    capabilities TEXT NOT NULL DEFAULT '[]',
    slots INTEGER NOT NULL DEFAULT 1,
    replica_id TEXT,
    connection BIGINT NOT NULL DEFAULT 0,
    connected_at BIGINT,
    disconnected_at BIGINT,
    last_heard_at BIGINT,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
) STRICT;

CREATE UNIQUE INDEX workers_by_instance ON workers (environment_id, instance) WHERE environment_id IS NOT NULL;
CREATE UNIQUE INDEX workers_by_name ON workers (organization_id, name) WHERE environment_id IS NULL;
CREATE INDEX workers_by_organization ON workers (organization_id, id);

-- One row per try. At most one attempt of an execution has accepted_end = 1.
CREATE TABLE execution_attempts (
    execution_id TEXT NOT NULL REFERENCES executions (id),
    attempt INTEGER NOT NULL,
    organization_id TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    worker_id TEXT REFERENCES workers (id),
    environment_id TEXT,
    instance BIGINT,
    assigned_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    outcome TEXT,
    accepted_end INTEGER NOT NULL DEFAULT 0,
    report TEXT,
    PRIMARY KEY (execution_id, attempt)
) STRICT;

CREATE INDEX execution_attempts_open ON execution_attempts (worker_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX execution_attempts_end ON execution_attempts (execution_id) WHERE accepted_end = 1;

-- What the server has of each output stream: bytes up to acknowledged_offset are stored and synced; digest_state is the
-- running SHA-256 at that offset; end_offset and digest are set by the end mark.
CREATE TABLE output_streams (
    execution_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    stream TEXT NOT NULL CHECK (stream IN ('stdout', 'stderr')),
    organization_id TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    acknowledged_offset BIGINT NOT NULL DEFAULT 0,
    digest_state BLOB,
    total_bytes BIGINT,
    head_bytes BIGINT,
    tail_bytes BIGINT,
    digest TEXT,
    ended_at BIGINT,
    PRIMARY KEY (execution_id, attempt, stream),
    FOREIGN KEY (execution_id, attempt) REFERENCES execution_attempts (execution_id, attempt)
) STRICT;

CREATE TABLE output_segments (
    execution_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    stream TEXT NOT NULL,
    start_offset BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    byte_count BIGINT NOT NULL,
    sealed_at BIGINT,
    PRIMARY KEY (execution_id, attempt, stream, start_offset),
    FOREIGN KEY (execution_id, attempt, stream) REFERENCES output_streams (execution_id, attempt, stream)
) STRICT;

-- A running server; its lease covers every claim it holds.
CREATE TABLE replicas (
    id TEXT NOT NULL PRIMARY KEY,
    fence BIGINT NOT NULL,
    address TEXT,
    version TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    renewed_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT
) STRICT;

-- Sealed with the deployment key; purpose and subject are part of the seal's context.
CREATE TABLE sealed_values (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    purpose TEXT NOT NULL,
    subject TEXT NOT NULL,
    owner_id TEXT,
    value BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, purpose, subject)
) STRICT;

-- What a request with an Idempotency-Key made, so that its repetition gets the same answer.
CREATE TABLE idempotency_keys (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    owner_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    subject TEXT NOT NULL,
    seq BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, owner_id, operation, key)
) STRICT;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- Facts of the deployment itself, such as which user a single-user server serves.
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at BIGINT NOT NULL
) STRICT;
