-- The first and the last end of what expired in an hour. The first hour that a store read has attempts of before in an
-- archive only, and these are in no sum. NULL: the whole hour.
ALTER TABLE summed_hours ADD COLUMN first_end INTEGER;
ALTER TABLE summed_hours ADD COLUMN last_end INTEGER;

-- Where reading began, before retention moved the horizon on: what ended before that this store never read.
CREATE TABLE first_horizons (
    cluster TEXT PRIMARY KEY,
    horizon INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO first_horizons SELECT cluster, horizon FROM horizons;

CREATE TRIGGER first_horizon AFTER INSERT ON horizons BEGIN
    INSERT INTO first_horizons SELECT new.cluster, new.horizon
    WHERE NOT EXISTS (SELECT 1 FROM first_horizons WHERE cluster = new.cluster);
END;

-- A backfill has moved it back.
CREATE TRIGGER earlier_horizon AFTER UPDATE OF horizon ON horizons WHEN new.horizon < old.horizon BEGIN
    UPDATE first_horizons SET horizon = min(horizon, new.horizon) WHERE cluster = new.cluster;
END;
