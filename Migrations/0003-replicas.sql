-- Several servers on one database: whose an environment is, and which workers a server that is gone has left.

ALTER TABLE environments ADD COLUMN replica_id TEXT;

CREATE INDEX environments_by_replica ON environments (replica_id, id);
CREATE INDEX workers_by_replica ON workers (replica_id);
