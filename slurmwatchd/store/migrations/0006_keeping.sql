-- Keeping the store: what the files said of an earlier one, and what has had its time.

-- Events that a sink got from an earlier store, by the id's sixteen bytes; a row goes when its event is met again.
CREATE TABLE told (
    sink     TEXT NOT NULL,
    id       BLOB NOT NULL,
    PRIMARY KEY (sink, id)
) STRICT, WITHOUT ROWID;

-- Attempts whose revisions go on from a number: the highest that the files have.
CREATE TABLE told_revisions (
    cluster    TEXT NOT NULL,
    job_id_raw INTEGER NOT NULL,
    submit     INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    PRIMARY KEY (cluster, job_id_raw, submit)
) STRICT, WITHOUT ROWID;

-- How far back the files of a sink go (0: none is gone), and when they were read.
CREATE TABLE readbacks (
    sink    TEXT PRIMARY KEY,
    oldest  INTEGER NOT NULL,
    newest  INTEGER NOT NULL,
    events  INTEGER NOT NULL,
    read_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Node lists that no attempt has any more. They go once every event up to `seq` has gone.
CREATE TABLE idle_nodelists (
    nodelist INTEGER PRIMARY KEY,
    seq      INTEGER NOT NULL
) STRICT;
