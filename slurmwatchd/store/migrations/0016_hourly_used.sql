-- What attempts used in an hour, and the energy they took: with usage nearly all hours of groups have it, and few of
-- those have an end. A row with only that takes two thirds of the bytes of one of `hourly_sums`, which keeps what it has.
CREATE TABLE hourly_used (
    hour                     INTEGER NOT NULL,
    grp                      INTEGER NOT NULL REFERENCES sum_groups (id),
    energy_joules            REAL NOT NULL,
    used_cpu_milliseconds    REAL NOT NULL,
    known_cpu_seconds        REAL NOT NULL,
    used_memory_mib_seconds  REAL NOT NULL,
    known_memory_mib_seconds REAL NOT NULL,
    used_gpu_percent_seconds REAL NOT NULL,
    known_gpu_seconds        REAL NOT NULL,
    PRIMARY KEY (hour, grp)
) STRICT, WITHOUT ROWID;

-- All that groups had in an hour, in up to three rows.
DROP VIEW hourly_amounts;
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
FROM hourly_time
UNION ALL
SELECT
    hour, grp, 0, 0, 0, 0, 0, 0, 0, 0, 0, energy_joules, used_cpu_milliseconds, known_cpu_seconds,
    used_memory_mib_seconds, known_memory_mib_seconds, used_gpu_percent_seconds, known_gpu_seconds
FROM hourly_used;
