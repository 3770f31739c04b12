-- Attempts that slurmdbd no longer has although it showed them once: no answer is held to show them.
CREATE TABLE gone (
    job     INTEGER PRIMARY KEY,
    noticed INTEGER NOT NULL
) STRICT;

-- A backfill goes from its end back to its beginning: all from `reached` on is read and stored. What one had left
-- before, `[reached, end)`, becomes its whole.
DROP INDEX backfills_left;
UPDATE backfills SET start = reached, reached = "end";
CREATE INDEX backfills_left ON backfills (cluster, id) WHERE reached > start;
