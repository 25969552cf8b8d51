-- Durable work of the control plane. A job says that somebody has to look at its subject, how often that was tried and who
-- is at it; what is to be done there, the subject's own row says. `attempt` is the fence of what a holder writes, `wishes`
-- counts the requests that it stands for. A holder is a registration of a server: its lease is the lease of all its jobs.

CREATE TABLE jobs (
    id TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    owner_id TEXT REFERENCES users (id),
    queue TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'active', 'completed', 'failed')),
    attempt INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    wishes BIGINT NOT NULL DEFAULT 1,
    home_id TEXT,
    replica_id TEXT,
    replica_fence BIGINT,
    is_interrupted INTEGER NOT NULL DEFAULT 0,
    failure_code TEXT,
    failure_message TEXT,
    failure_remedy TEXT,
    created_at BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT
) STRICT;

-- One open job for each thing and action; one job at a time for each thing.
CREATE UNIQUE INDEX jobs_open ON jobs (subject, action) WHERE state IN ('queued', 'active');
CREATE UNIQUE INDEX jobs_active ON jobs (subject) WHERE state = 'active';
CREATE INDEX jobs_due ON jobs (queue, run_at, id) WHERE state = 'queued';
CREATE INDEX jobs_by_organization ON jobs (organization_id, id);
CREATE INDEX jobs_ended ON jobs (organization_id, queue, state, ended_at) WHERE state IN ('completed', 'failed');

-- One row per turn. No reference to `jobs`: both go together, oldest first.
CREATE TABLE job_attempts (
    job_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    organization_id TEXT NOT NULL,
    replica_id TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    outcome TEXT,
    code TEXT,
    message TEXT,
    PRIMARY KEY (job_id, attempt)
) STRICT;
