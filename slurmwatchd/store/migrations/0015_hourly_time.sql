-- What attempts had in hours that they only ran in: most hours of most groups. Rows with nothing but that take half
-- the bytes of those of `hourly_sums`, and half the time to write. An hour of a group may have one in each.
CREATE TABLE hourly_time (
    hour               INTEGER NOT NULL,
    grp                INTEGER NOT NULL REFERENCES sum_groups (id),
    elapsed_seconds    REAL NOT NULL,
    cpu_seconds        REAL NOT NULL,
    node_seconds       REAL NOT NULL,
    memory_mib_seconds REAL NOT NULL,
    gpu_seconds        REAL NOT NULL,
    billing_seconds    REAL NOT NULL,
    PRIMARY KEY (hour, grp)
) STRICT, WITHOUT ROWID;

-- All that groups had in an hour, in a row or two.
CREATE VIEW hourly_amounts AS
SELECT
    hour, grp, attempts, waits, wait_seconds, elapsed_seconds, cpu_seconds, node_seconds, memory_mib_seconds,
    gpu_seconds, billing_seconds, energy_joules, used_cpu_milliseconds, known_cpu_seconds, used_memory_mib_seconds,
    known_memory_mib_seconds, used_gpu_percent_seconds, known_gpu_seconds
FROM hourly_sums
UNION ALL
SELECT
    hour, grp, 0, 0, 0, elapsed_seconds, cpu_seconds, node_seconds, memory_mib_seconds, gpu_seconds, billing_seconds,
    0, 0, 0, 0, 0, 0, 0
FROM hourly_time;
