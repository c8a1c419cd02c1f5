-- Which values of a reading were in quarantine when it came: a JSON list of fields. NULL: nobody judged it (it came late,
-- or was kept before this was).
ALTER TABLE readings ADD COLUMN quarantined TEXT;
