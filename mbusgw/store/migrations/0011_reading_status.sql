-- What the meter said of itself (the status byte of its header) when it was read; NULL for readings of before.
ALTER TABLE readings ADD COLUMN status INTEGER;
