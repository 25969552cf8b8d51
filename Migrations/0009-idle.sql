-- Without use for idle_stop_minutes an environment is stopped; null: never. rest_evidence: why it was put to rest by
-- itself, until it is wanted running again.
ALTER TABLE environments ADD COLUMN idle_stop_minutes INTEGER;
ALTER TABLE environments ADD COLUMN rest_evidence TEXT;

CREATE INDEX environments_paused ON environments (id) WHERE observed_state = 'paused' AND deleted_at IS NULL;
