-- What outsiders may read is named in the documentation; other columns may change.

CREATE TABLE device_states (
    device_id   TEXT PRIMARY KEY,
    state_json  TEXT NOT NULL,
    last_update TEXT,
    online      INTEGER NOT NULL,
    version     INTEGER NOT NULL
);

-- AUTOINCREMENT: an id is never used again, also when the table has run empty.
CREATE TABLE mqtt_queue (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    topic      TEXT NOT NULL,
    payload    TEXT NOT NULL,
    retain     INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    ingest_id  TEXT
);
CREATE INDEX mqtt_queue_retained ON mqtt_queue (topic) WHERE retain = 1;
CREATE INDEX mqtt_queue_telegram ON mqtt_queue (ingest_id) WHERE ingest_id IS NOT NULL;

CREATE TABLE telegrams (
    ingest_id         TEXT PRIMARY KEY,
    gateway_id        TEXT NOT NULL,
    rx_time           TEXT NOT NULL,
    rssi              REAL,
    raw_hex           TEXT NOT NULL,
    status            TEXT NOT NULL,
    created_at        TEXT NOT NULL,
    mode              TEXT,
    hint_meter_id     TEXT,
    hint_manufacturer TEXT,
    key_hex           TEXT,            -- the request's own key; forgotten as soon as it is not needed
    meter_id          TEXT,            -- who sent it, once known
    digest            BLOB NOT NULL,   -- sha256(gateway_id + raw_hex)
    duplicate_of      TEXT,
    reason            TEXT,            -- why it failed, waits or lacks its key
    attempts          INTEGER NOT NULL DEFAULT 0,
    retry_at          TEXT
);
CREATE INDEX telegrams_digest ON telegrams (digest, created_at);
CREATE INDEX telegrams_received ON telegrams (status) WHERE status = 'received';
CREATE INDEX telegrams_deferred ON telegrams (retry_at) WHERE status = 'deferred';
CREATE INDEX telegrams_keyless ON telegrams (meter_id) WHERE status = 'key_missing';
CREATE INDEX telegrams_created ON telegrams (created_at);

CREATE TABLE parse_results (
    ingest_id    TEXT PRIMARY KEY REFERENCES telegrams (ingest_id) ON DELETE CASCADE,
    parsed_json  TEXT NOT NULL,
    published_at TEXT
);

CREATE TABLE meter_keys (
    meter_id     TEXT PRIMARY KEY,
    manufacturer TEXT,
    key_hex      TEXT NOT NULL,
    updated_at   TEXT NOT NULL
);

CREATE TABLE domain_mappings (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    json    TEXT NOT NULL,
    version INTEGER NOT NULL,
    active  INTEGER NOT NULL DEFAULT 0
);

-- What Home Assistant was last told, so that what is gone can be taken back.
CREATE TABLE discovery (
    topic      TEXT PRIMARY KEY,
    device_id  TEXT NOT NULL,
    payload    TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

CREATE TABLE readings (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id   TEXT NOT NULL,
    read_at     TEXT NOT NULL,
    ingest_id   TEXT,
    fields_json TEXT NOT NULL
);
CREATE INDEX readings_device ON readings (device_id, read_at);
CREATE INDEX readings_time ON readings (read_at);

-- How many rows wait, kept by the database itself: COUNT(*) over a long queue is slow,
-- and a number kept in memory is wrong after a rollback.
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO counters VALUES ('outbox', 0), ('telemetry', 0), ('backlog', 0);

CREATE TRIGGER outbox_in AFTER INSERT ON mqtt_queue BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'outbox' OR (name = 'telemetry' AND NOT NEW.retain);
END;
CREATE TRIGGER outbox_out AFTER DELETE ON mqtt_queue BEGIN
    UPDATE counters SET value = value - 1 WHERE name = 'outbox' OR (name = 'telemetry' AND NOT OLD.retain);
END;
CREATE TRIGGER backlog_in AFTER INSERT ON telegrams WHEN NEW.status IN ('received', 'deferred') BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'backlog';
END;
CREATE TRIGGER backlog_out AFTER DELETE ON telegrams WHEN OLD.status IN ('received', 'deferred') BEGIN
    UPDATE counters SET value = value - 1 WHERE name = 'backlog';
END;
CREATE TRIGGER backlog_change AFTER UPDATE OF status ON telegrams BEGIN
    UPDATE counters
    SET value = value + (NEW.status IN ('received', 'deferred')) - (OLD.status IN ('received', 'deferred'))
    WHERE name = 'backlog';
END;
