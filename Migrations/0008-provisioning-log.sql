-- What was done to an environment lately, for people: a ring of the last entries, each kept for an hour. The count in the
-- environment's row gives the numbers, so the order of numbers is the order of commits.

ALTER TABLE environments ADD COLUMN log_seq BIGINT NOT NULL DEFAULT 0;

CREATE TABLE provisioning_log (
    environment_id TEXT NOT NULL REFERENCES environments (id),
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('info', 'success', 'error', 'debug')),
    message TEXT NOT NULL,
    PRIMARY KEY (environment_id, seq)
) STRICT;

CREATE INDEX provisioning_log_by_time ON provisioning_log (at);
