-- Bytes that every server of a database can read. The tenant of a row is that of the execution or upload that it names.

-- A stream's chunks follow each other without gap or overlap: each begins where the one before it ends, and the key
-- keeps two servers from storing the same place.
CREATE TABLE output_chunks (
    execution_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    stream TEXT NOT NULL CHECK (stream IN ('stdout', 'stderr')),
    start_offset BIGINT NOT NULL,
    end_offset BIGINT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (execution_id, attempt, stream, start_offset)
) STRICT;

-- Whole files: the row comes with the last part, so a name stands for a complete file.
CREATE TABLE stored_files (
    area TEXT NOT NULL,
    name TEXT NOT NULL,
    parts_id TEXT NOT NULL,
    byte_count BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (area, name)
) STRICT;

CREATE TABLE stored_file_parts (
    parts_id TEXT NOT NULL,
    start_offset BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (parts_id, start_offset)
) STRICT;

CREATE INDEX stored_file_parts_by_age ON stored_file_parts (created_at);
