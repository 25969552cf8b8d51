-- The embedded event bus. A topic's partition is a log of messages numbered from 0 without gaps; `next_offset` is the
-- number of the next one, and its row lock makes the order of numbers the order of commits.
CREATE TABLE bus_partitions (
    topic TEXT NOT NULL,
    part INTEGER NOT NULL,
    first_offset BIGINT NOT NULL DEFAULT 0,
    next_offset BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (topic, part)
) STRICT;

CREATE TABLE bus_messages (
    topic TEXT NOT NULL,
    part INTEGER NOT NULL,
    message_offset BIGINT NOT NULL,
    message_key BLOB,
    value BLOB,
    headers TEXT,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (topic, part, message_offset)
) STRICT;

-- Where a group stands in a partition, and which of its members reads it until leased_until.
CREATE TABLE bus_groups (
    consumer_group TEXT NOT NULL,
    topic TEXT NOT NULL,
    part INTEGER NOT NULL,
    committed_offset BIGINT,
    member TEXT,
    leased_until BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (consumer_group, topic, part)
) STRICT;

CREATE TABLE bus_members (
    consumer_group TEXT NOT NULL,
    member TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (consumer_group, member)
) STRICT;

-- Which execution a message of the exec topic became. `message` is `id:` and the executionId that it carried, or `at:`
-- and its place in its topic.
CREATE TABLE bus_requests (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    message TEXT NOT NULL,
    execution_id TEXT NOT NULL UNIQUE REFERENCES executions (id),
    requested_id TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, message)
) STRICT;

-- What of an organization's feed has been handed to a bus: events up to seq.
CREATE TABLE bus_positions (
    bus TEXT NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    seq BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (bus, organization_id)
) STRICT;

-- Output that is being handed to a bus: bytes up to the offsets are there. What lies before the planned offsets is cut
-- into the same messages however often it is published. Gone with the attempt's end.
CREATE TABLE bus_output (
    bus TEXT NOT NULL,
    execution_id TEXT NOT NULL REFERENCES executions (id),
    attempt INTEGER NOT NULL,
    organization_id TEXT NOT NULL,
    stdout_offset BIGINT NOT NULL DEFAULT 0,
    stdout_planned BIGINT NOT NULL DEFAULT 0,
    stderr_offset BIGINT NOT NULL DEFAULT 0,
    stderr_planned BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (bus, execution_id, attempt)
) STRICT;

-- Messages that wait to be published, in the order of their ids.
CREATE TABLE bus_held (
    id TEXT NOT NULL PRIMARY KEY,
    topic TEXT NOT NULL,
    message_key BLOB,
    value BLOB,
    headers TEXT,
    created_at BIGINT NOT NULL
) STRICT;

-- Which server publishes.
CREATE TABLE bus_leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    leased_until BIGINT NOT NULL
) STRICT;
