-- Attempts whose usage is still to be told. An attempt enters in the transaction that stores it, and leaves in the
-- one that makes its `job_usage`. `urgency` is 0 for what ends now, 1 for what a backfill found; `asked` counts the
-- answers that were not complete.
CREATE TABLE usage_queue (
    job      INTEGER PRIMARY KEY,
    cluster  TEXT NOT NULL,
    urgency  INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    asked    INTEGER NOT NULL,
    found_by TEXT NOT NULL
) STRICT;

CREATE INDEX usage_queue_by_due ON usage_queue (cluster, urgency, due);

-- The event that tells an attempt's usage.
ALTER TABLE jobs ADD COLUMN usage_seq INTEGER;

-- From which position on bodies have which form; those of older forms are upgraded when they are read.
CREATE TABLE body_forms (
    form      INTEGER PRIMARY KEY,
    first_seq INTEGER NOT NULL
) STRICT;

INSERT INTO body_forms VALUES (1, 0);
INSERT INTO body_forms
SELECT 2, coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'last seq'), 0) + 1;
