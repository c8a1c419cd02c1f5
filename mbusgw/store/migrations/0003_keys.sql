-- Keys have names that may be shown (upper-case SHA-256 of the 16 bytes), and may be encrypted (key_hex then
-- begins with "gcm:"). '' is filled in at the next start.
ALTER TABLE meter_keys ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';

-- The maker of the meter: eight digits alone do not tell whose key is wanted.
ALTER TABLE telegrams ADD COLUMN manufacturer TEXT;

-- What waits for a key, or could not be read with a wrong one, is found when the right one comes.
CREATE INDEX telegrams_keyless_hint ON telegrams (hint_meter_id) WHERE status = 'key_missing';
CREATE INDEX telegrams_failed ON telegrams (meter_id) WHERE status = 'failed';
CREATE INDEX telegrams_failed_hint ON telegrams (hint_meter_id) WHERE status = 'failed';

-- What is asked for by people.
CREATE INDEX telegrams_meter ON telegrams (meter_id) WHERE meter_id IS NOT NULL;
CREATE INDEX telegrams_duplicates ON telegrams (duplicate_of) WHERE duplicate_of IS NOT NULL;

-- When a version of the mapping came.
ALTER TABLE domain_mappings ADD COLUMN created_at TEXT;
