-- Bodies are zstd frames (`bodies.py`), with a dictionary that was trained on bodies of this store. It is data: no row
-- that was packed with it can be read without it. One holds from an event on; the one before it has no newer events.
CREATE TABLE dictionaries (
    id     INTEGER PRIMARY KEY,
    kind   TEXT NOT NULL,
    since  INTEGER NOT NULL,
    data   BLOB NOT NULL
) STRICT;

-- The event whose body a `job_usage` extends; its own body is what it adds. NULL: the body is whole. An id that
-- follows from the attempt is not kept either: the column is empty then.
ALTER TABLE events ADD COLUMN base INTEGER;
