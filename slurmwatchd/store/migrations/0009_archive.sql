-- The days of ends of which an archive has attempts, or is to get some. `day` counts from 1970-01-01, UTC; an attempt
-- without an end belongs to the day of its submission. `first_seq` is the oldest event that the day's file lacks (NULL:
-- none), `since` when the first of them was seen and `changed` the last, epoch seconds. `number`, `attempts` and `bytes`
-- are those of the file; 0 before the first.
CREATE TABLE archive_days (
    cluster   TEXT NOT NULL,
    day       INTEGER NOT NULL,
    first_seq INTEGER,
    since     INTEGER NOT NULL,
    changed   INTEGER NOT NULL,
    number    INTEGER NOT NULL DEFAULT 0,
    attempts  INTEGER NOT NULL DEFAULT 0,
    bytes     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (cluster, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX archive_days_waiting ON archive_days (first_seq) WHERE first_seq IS NOT NULL;

-- Attempts whose end has moved to another day, and the day whose file may still have them: no other day's file gets
-- them before.
CREATE TABLE archive_moves (
    job     INTEGER NOT NULL,
    cluster TEXT NOT NULL,
    day     INTEGER NOT NULL,
    PRIMARY KEY (job, day)
) STRICT, WITHOUT ROWID;
