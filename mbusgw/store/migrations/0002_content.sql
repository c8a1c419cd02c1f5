-- The same telegram is known again whichever gateway hands it in, with link layer CRCs or without.
DROP INDEX telegrams_digest;
ALTER TABLE telegrams DROP COLUMN digest;
ALTER TABLE telegrams ADD COLUMN content BLOB;  -- sha256 of the telegram without its CRCs
CREATE INDEX telegrams_content ON telegrams (content, created_at);
