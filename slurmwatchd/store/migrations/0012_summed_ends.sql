-- The first and the last end of what expired in an hour. The first hour that a store read has attempts of before in an
-- archive only, and these are in no sum. NULL: the whole hour.
ALTER TABLE summed_hours ADD COLUMN first_end INTEGER;
ALTER TABLE summed_hours ADD COLUMN last_end INTEGER;
