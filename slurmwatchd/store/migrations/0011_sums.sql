-- What attempts add up to, by the hour: kept when the attempts themselves have expired. Whole numbers, in columns that
-- do not overflow.
CREATE TABLE sum_groups (
    id          INTEGER PRIMARY KEY,
    cluster     TEXT NOT NULL,
    "partition" TEXT NOT NULL,
    account     TEXT NOT NULL,
    "user"      TEXT NOT NULL,
    qos         TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    UNIQUE (cluster, "partition", account, "user", qos, outcome)
) STRICT;

CREATE TABLE hourly_sums (
    hour                     INTEGER NOT NULL,
    grp                      INTEGER NOT NULL REFERENCES sum_groups (id),
    attempts                 REAL NOT NULL,
    waits                    REAL NOT NULL,
    wait_seconds             REAL NOT NULL,
    elapsed_seconds          REAL NOT NULL,
    cpu_seconds              REAL NOT NULL,
    node_seconds             REAL NOT NULL,
    memory_mib_seconds       REAL NOT NULL,
    gpu_seconds              REAL NOT NULL,
    billing_seconds          REAL NOT NULL,
    energy_joules            REAL NOT NULL,
    used_cpu_milliseconds    REAL NOT NULL,
    known_cpu_seconds        REAL NOT NULL,
    used_memory_mib_seconds  REAL NOT NULL,
    known_memory_mib_seconds REAL NOT NULL,
    used_gpu_percent_seconds REAL NOT NULL,
    known_gpu_seconds        REAL NOT NULL,
    PRIMARY KEY (hour, grp)
) STRICT, WITHOUT ROWID;

-- Every other TRES by its name: GPUs by type, licenses, burst buffers.
CREATE TABLE hourly_tres (
    hour    INTEGER NOT NULL,
    grp     INTEGER NOT NULL REFERENCES sum_groups (id),
    name    TEXT NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (hour, grp, name)
) STRICT, WITHOUT ROWID;

-- How long attempts waited that started: a JSON object of bucket (`model/sums.py`) to how many. A row for each bucket
-- would cost more than all else here.
CREATE TABLE hourly_waits (
    hour    INTEGER NOT NULL,
    grp     INTEGER NOT NULL REFERENCES sum_groups (id),
    buckets TEXT NOT NULL,
    PRIMARY KEY (hour, grp)
) STRICT, WITHOUT ROWID;

-- Hours in which attempts ended that have expired: what is read again of them is in the sums already.
CREATE TABLE summed_hours (
    cluster TEXT NOT NULL,
    hour    INTEGER NOT NULL,
    PRIMARY KEY (cluster, hour)
) STRICT, WITHOUT ROWID;

-- Attempts that were in the sums when they were stored: they had expired, and were read again.
CREATE TABLE summed_before (
    job INTEGER PRIMARY KEY
) STRICT;

-- The attempts of before that are in no sum yet: those above `summed`, up to `last`. No row: all are.
CREATE TABLE unsummed (
    summed INTEGER NOT NULL,
    last   INTEGER NOT NULL
) STRICT;

INSERT INTO unsummed SELECT 0, max(id) FROM jobs HAVING max(id) IS NOT NULL;
