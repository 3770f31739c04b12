-- What people ask of whoever holds the store: the only rows another process writes.

-- Stretches of end times to be read although nothing makes them due. All before `reached` is read and stored.
CREATE TABLE backfills (
    id      INTEGER PRIMARY KEY,
    cluster TEXT NOT NULL,
    start   INTEGER NOT NULL,
    "end"   INTEGER NOT NULL,
    reached INTEGER NOT NULL,
    asked   INTEGER NOT NULL,
    moved   INTEGER NOT NULL,
    "rows"  INTEGER NOT NULL DEFAULT 0,
    new     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX backfills_left ON backfills (cluster, id) WHERE reached < "end";

-- When somebody asked to have a row read again; NULL: nobody waits for it.
ALTER TABLE quarantine ADD COLUMN asked INTEGER;

CREATE INDEX quarantine_asked ON quarantine (id) WHERE asked IS NOT NULL;

-- The position behind which a sink was made: it was never meant to get what came before. NULL: not known, the sink
-- is older than this column.
ALTER TABLE cursors ADD COLUMN began INTEGER;
