-- An end is what is written most often. SQLite makes a table of its own for each list of three words that a condition names,
-- with every write that touches it; whether an execution has ended is one column.
DROP INDEX executions_open;
CREATE INDEX executions_open ON executions (environment_id, id) WHERE ended_at IS NULL;
DROP INDEX executions_by_deadline;
CREATE INDEX executions_by_deadline ON executions (deadline_at) WHERE deadline_at IS NOT NULL;
DROP INDEX executions_by_workspace;
CREATE INDEX executions_by_workspace ON executions (workspace_id, id) WHERE workspace_id IS NOT NULL;

-- The marks of both streams come with the attempt's end, and are kept in its row.
ALTER TABLE execution_attempts ADD COLUMN stdout_total BIGINT;
ALTER TABLE execution_attempts ADD COLUMN stdout_head BIGINT;
ALTER TABLE execution_attempts ADD COLUMN stdout_tail BIGINT;
ALTER TABLE execution_attempts ADD COLUMN stdout_digest TEXT;
ALTER TABLE execution_attempts ADD COLUMN stderr_total BIGINT;
ALTER TABLE execution_attempts ADD COLUMN stderr_head BIGINT;
ALTER TABLE execution_attempts ADD COLUMN stderr_tail BIGINT;
ALTER TABLE execution_attempts ADD COLUMN stderr_digest TEXT;
-- Of what is stored of a stream that was capped; the digest above is that of all that was written.
ALTER TABLE execution_attempts ADD COLUMN stdout_stored_digest TEXT;
ALTER TABLE execution_attempts ADD COLUMN stderr_stored_digest TEXT;

UPDATE execution_attempts
SET stdout_total = s.total_bytes, stdout_head = s.head_bytes, stdout_tail = s.tail_bytes, stdout_digest = s.digest
FROM output_streams s
WHERE s.execution_id = execution_attempts.execution_id AND s.attempt = execution_attempts.attempt AND s.stream = 'stdout';

UPDATE execution_attempts
SET stderr_total = s.total_bytes, stderr_head = s.head_bytes, stderr_tail = s.tail_bytes, stderr_digest = s.digest
FROM output_streams s
WHERE s.execution_id = execution_attempts.execution_id AND s.attempt = execution_attempts.attempt AND s.stream = 'stderr';

DROP TABLE output_segments;
DROP TABLE output_streams;

-- An event's organization exists: its row of `feed`, which refers to it, gives the event its number. Looking it up once more
-- for each event, and holding its row, is the dearest part of an insert on PostgreSQL.
CREATE TABLE numbered_events (
    organization_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    type TEXT NOT NULL,
    version INTEGER NOT NULL,
    subject TEXT NOT NULL,
    owner_id TEXT,
    actor_id TEXT,
    payload TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO numbered_events (organization_id, seq, type, version, subject, owner_id, actor_id, payload, recorded_at)
SELECT organization_id, seq, type, version, subject, owner_id, actor_id, payload, recorded_at FROM events;

DROP TABLE events;
ALTER TABLE numbered_events RENAME TO events;
CREATE INDEX events_by_subject ON events (organization_id, subject, seq);
