-- Words of a few that all rows have are kept as codes (`codes.py`), the most frequent as an empty text: 0 bytes. Rows of
-- before have the words themselves. The columns with the names of before give the words of both.
ALTER TABLE jobs RENAME COLUMN state TO state_code;
ALTER TABLE jobs ADD COLUMN state TEXT AS (
    CASE state_code
        WHEN '' THEN 'COMPLETED'
        WHEN 'b' THEN 'BOOT_FAIL'
        WHEN 'c' THEN 'CANCELLED'
        WHEN 'd' THEN 'DEADLINE'
        WHEN 'f' THEN 'FAILED'
        WHEN 'n' THEN 'NODE_FAIL'
        WHEN 'o' THEN 'OUT_OF_MEMORY'
        WHEN 'p' THEN 'PREEMPTED'
        WHEN 'q' THEN 'REQUEUED'
        WHEN 's' THEN 'RESIZING'
        WHEN 't' THEN 'TIMEOUT'
        WHEN 'v' THEN 'REVOKED'
        ELSE CASE substr(state_code, 1, 1) WHEN '=' THEN substr(state_code, 2) ELSE state_code END
    END
);

ALTER TABLE jobs RENAME COLUMN outcome TO outcome_code;
ALTER TABLE jobs ADD COLUMN outcome TEXT AS (
    CASE outcome_code
        WHEN '' THEN 'completed'
        WHEN 'a' THEN 'cancelled_by_admin'
        WHEN 'b' THEN 'boot_failure'
        WHEN 'c' THEN 'cancelled'
        WHEN 'd' THEN 'deadline'
        WHEN 'e' THEN 'cancelled_before_start'
        WHEN 'f' THEN 'failed'
        WHEN 'n' THEN 'node_failure'
        WHEN 'o' THEN 'out_of_memory'
        WHEN 'p' THEN 'preempted'
        WHEN 'q' THEN 'requeued'
        WHEN 's' THEN 'resized'
        WHEN 't' THEN 'time_limit'
        WHEN 'u' THEN 'cancelled_by_user'
        WHEN 'v' THEN 'revoked'
        ELSE CASE substr(outcome_code, 1, 1) WHEN '=' THEN substr(outcome_code, 2) ELSE outcome_code END
    END
);

ALTER TABLE events RENAME COLUMN kind TO kind_code;
ALTER TABLE events ADD COLUMN kind TEXT AS (
    CASE kind_code WHEN '' THEN 'job_ended' WHEN 'u' THEN 'job_usage' WHEN 'r' THEN 'job_revised' ELSE kind_code END
);

ALTER TABLE events RENAME COLUMN found_by TO found_by_code;
ALTER TABLE events ADD COLUMN found_by TEXT AS (
    CASE found_by_code
        WHEN '' THEN 'poll'
        WHEN 'r' THEN 'reread'
        WHEN 'o' THEN 'open_set'
        WHEN 'b' THEN 'backfill'
        ELSE found_by_code
    END
);
