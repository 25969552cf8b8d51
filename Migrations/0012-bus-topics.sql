-- Each topic that is made of the feed follows it by itself, so that one that takes nothing holds up no other.
INSERT INTO bus_positions (bus, organization_id, seq, updated_at)
SELECT bus || '.output', organization_id, seq, updated_at FROM bus_positions
UNION ALL
SELECT bus || '.events', organization_id, seq, updated_at FROM bus_positions;

-- Whether an attempt has ended: what is stored of it is all, and its row goes when that is published.
ALTER TABLE bus_output ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;

CREATE INDEX bus_held_topics ON bus_held (topic, id);
CREATE INDEX bus_requests_age ON bus_requests (created_at);
