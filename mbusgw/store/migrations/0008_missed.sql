-- A retained message that tells of a reading has with it what is sent instead, not retained, when a newer one
-- replaces it before the broker took it. ``spare``: of that, what may be thinned out when there is too much of it.
ALTER TABLE mqtt_queue ADD COLUMN missed_topic TEXT;
ALTER TABLE mqtt_queue ADD COLUMN missed_payload TEXT;
ALTER TABLE mqtt_queue ADD COLUMN spare INTEGER NOT NULL DEFAULT 0;
CREATE INDEX mqtt_queue_spare ON mqtt_queue (topic) WHERE spare = 1 AND retain = 0;

INSERT INTO counters VALUES ('spare', 0), ('thinned', 0);
CREATE TRIGGER spare_in AFTER INSERT ON mqtt_queue WHEN NEW.spare AND NOT NEW.retain BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'spare';
END;
CREATE TRIGGER spare_out AFTER DELETE ON mqtt_queue WHEN OLD.spare AND NOT OLD.retain BEGIN
    UPDATE counters SET value = value - 1 WHERE name = 'spare';
END;
