-- Machines that wait for whoever asks for one: rows of `environments` that belong to nobody yet. The key says what one was
-- made from. Its host name was given to it before its name was.

ALTER TABLE environments ADD COLUMN spare_key TEXT;
ALTER TABLE environments ADD COLUMN hostname TEXT;

CREATE INDEX environments_spare ON environments (replica_id, id) WHERE spare_key IS NOT NULL;
