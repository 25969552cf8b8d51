-- Turns whose server went away: a server's death is none of the tries that a job has.
ALTER TABLE jobs ADD COLUMN losses INTEGER NOT NULL DEFAULT 0;
