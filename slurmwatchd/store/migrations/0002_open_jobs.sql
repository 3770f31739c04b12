-- The jobs last seen open. One that vanishes from the list without an end is asked for by its id, also by the daemon
-- started next. `absent`: since when it is missing, 0 while it is listed; `asked`: when it was last asked for, 0 for
-- never. Both epoch seconds.
CREATE TABLE open_jobs (
    cluster    TEXT NOT NULL,
    job_id_raw INTEGER NOT NULL,
    submit     INTEGER NOT NULL,
    job_id     TEXT NOT NULL,
    absent     INTEGER NOT NULL,
    asked      INTEGER NOT NULL,
    PRIMARY KEY (cluster, job_id_raw, submit)
) STRICT, WITHOUT ROWID;

CREATE INDEX open_jobs_by_absence ON open_jobs (cluster, absent) WHERE absent != 0;
