-- Where the attempts of a cluster ran that ended from `start` on and before `stop`, whose they were and which failed:
-- a zstd frame of `model/placements.py`. It repeats what `jobs` says, for a search over all of a day, so whatever changes
-- an attempt removes the row that has it. Rows do not overlap; the daemon makes them for stretches that have none.
CREATE TABLE placements (
    id      INTEGER PRIMARY KEY,
    cluster TEXT NOT NULL,
    start   INTEGER NOT NULL,
    stop    INTEGER NOT NULL,
    packed  BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX placements_by_start ON placements (cluster, start, stop);
