-- After a failure of the machinery an execution waits in the queue until not_before; `failures` counts them. `needs` is the
-- agent and the capabilities that its worker must have, so that the dispatcher can leave out what no free worker suits.
ALTER TABLE executions ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN not_before BIGINT;
ALTER TABLE executions ADD COLUMN needs TEXT NOT NULL DEFAULT '';
ALTER TABLE executions ADD COLUMN retry_of TEXT REFERENCES executions (id);

CREATE INDEX executions_waiting ON executions (not_before) WHERE state = 'queued' AND not_before IS NOT NULL;
CREATE INDEX executions_by_retry ON executions (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX executions_queued_needs ON executions (organization_id, environment_id, needs, id) WHERE state = 'queued';

-- Why the attempt came to its end, where it was not by itself.
ALTER TABLE execution_attempts ADD COLUMN failure_code TEXT;
ALTER TABLE execution_attempts ADD COLUMN failure_message TEXT;

-- Which books a worker of this name keeps, and when its process began: two processes of one name are told apart by them.
ALTER TABLE workers ADD COLUMN state_id TEXT;
ALTER TABLE workers ADD COLUMN process_started_at BIGINT;

-- Executions that were given up after repeated failures. Until the row goes their sealed secrets stay, for a retry.
CREATE TABLE dead_letters (
    execution_id TEXT NOT NULL PRIMARY KEY REFERENCES executions (id),
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    owner_id TEXT NOT NULL REFERENCES users (id),
    retried_as TEXT REFERENCES executions (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
) STRICT;

CREATE INDEX dead_letters_by_organization ON dead_letters (organization_id, execution_id);
CREATE INDEX dead_letters_by_expiry ON dead_letters (expires_at);
