-- Why each attempt ended. NULL: a version without outcomes stored it; it follows from the record when it is read.
ALTER TABLE jobs ADD COLUMN outcome TEXT;
