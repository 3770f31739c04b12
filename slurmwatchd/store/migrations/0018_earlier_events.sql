-- The events of an attempt that was revised, but for the newest: that and its usage are named in `jobs`. Few attempts
-- are revised, so this is next to nothing, and an index of all events by their attempt was 12 bytes an event.
CREATE TABLE earlier_events (
    job INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO earlier_events SELECT events.job, events.seq FROM jobs CROSS JOIN events ON events.job = jobs.id
WHERE jobs.revision > 1 AND events.seq IS NOT jobs.seq AND events.seq IS NOT jobs.usage_seq;

DROP INDEX events_by_job;
