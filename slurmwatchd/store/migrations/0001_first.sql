-- The store: what was seen, what is to be told of it, and how far everybody has got.
-- Times are epoch seconds, durations seconds, sizes bytes.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Each distinct node list once, and an index from a node to the lists it stands in.
-- `nodes` is the JSON array a line carries; NULL where the list could not be expanded.
CREATE TABLE nodelists (
    id         INTEGER PRIMARY KEY,
    expression TEXT NOT NULL UNIQUE,
    node_count INTEGER,
    nodes      BLOB
) STRICT;

CREATE TABLE nodes (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE nodelist_nodes (
    node     INTEGER NOT NULL REFERENCES nodes (id),
    nodelist INTEGER NOT NULL REFERENCES nodelists (id),
    PRIMARY KEY (node, nodelist)
) STRICT, WITHOUT ROWID;

-- Which of the record's fields a reading could fill: a field nobody asked for is not a field that changed.
CREATE TABLE layouts (
    id    INTEGER PRIMARY KEY,
    slots TEXT NOT NULL UNIQUE
) STRICT;

-- One row an attempt: its key, what is asked for most, and the event that holds the whole of it.
CREATE TABLE jobs (
    id           INTEGER PRIMARY KEY,
    cluster      TEXT NOT NULL,
    job_id_raw   INTEGER NOT NULL,
    submit       INTEGER NOT NULL,
    job_id       TEXT NOT NULL,
    state        TEXT NOT NULL,
    "user"       TEXT,
    account      TEXT,
    "partition"  TEXT,
    start        INTEGER,
    "end"        INTEGER,
    nodelist     INTEGER REFERENCES nodelists (id),
    digest       INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    UNIQUE (cluster, job_id_raw, submit)
) STRICT;

CREATE INDEX jobs_by_end ON jobs (cluster, "end");
CREATE INDEX jobs_by_nodelist ON jobs (nodelist, "end");

-- The outbox: everything sinks are told, in the order of seq. `body` is the record as JSON.
-- The last position given out stands in `meta`, so that none is used twice when the newest events are pruned.
CREATE TABLE events (
    seq      INTEGER PRIMARY KEY,
    id       TEXT NOT NULL,
    job      INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    revision INTEGER NOT NULL,
    time     INTEGER,
    observed INTEGER NOT NULL,
    found_by TEXT NOT NULL,
    layout   INTEGER NOT NULL REFERENCES layouts (id),
    nodelist INTEGER REFERENCES nodelists (id),
    changed  BLOB,
    body     BLOB NOT NULL
) STRICT;

-- How far each sink has got, and what else it must remember; both move together.
CREATE TABLE cursors (
    sink  TEXT PRIMARY KEY,
    seq   INTEGER NOT NULL,
    moved INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sink_state (
    sink  TEXT NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (sink, key)
) STRICT, WITHOUT ROWID;

-- Where reading began, and when each stretch of end times since then was last read completely.
CREATE TABLE horizons (
    cluster   TEXT PRIMARY KEY,
    horizon   INTEGER NOT NULL,
    watermark INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE coverage (
    cluster TEXT NOT NULL,
    start   INTEGER NOT NULL,
    "end"   INTEGER NOT NULL,
    read_at INTEGER NOT NULL,
    PRIMARY KEY (cluster, start)
) STRICT, WITHOUT ROWID;

-- Each complete reading and what it held: the evidence behind the coverage.
CREATE TABLE ledger (
    id       INTEGER PRIMARY KEY,
    cluster  TEXT NOT NULL,
    start    INTEGER NOT NULL,
    "end"    INTEGER NOT NULL,
    found_by TEXT NOT NULL,
    read_at  INTEGER NOT NULL,
    "rows"   INTEGER NOT NULL,
    new      INTEGER NOT NULL,
    revised  INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    seconds  REAL NOT NULL
) STRICT;

CREATE INDEX ledger_by_time ON ledger (cluster, read_at);

-- Rows that cannot be keyed, whole.
CREATE TABLE quarantine (
    id       INTEGER PRIMARY KEY,
    cluster  TEXT NOT NULL,
    observed INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    fields   TEXT NOT NULL,
    row      BLOB NOT NULL UNIQUE
) STRICT;
