-- Messages that the broker will never take, and why: the others go on, these can be looked at.
CREATE TABLE set_aside (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    topic        TEXT NOT NULL,
    payload      TEXT NOT NULL,
    retain       INTEGER NOT NULL,
    created_at   TEXT NOT NULL,
    ingest_id    TEXT,
    reason       TEXT NOT NULL,
    set_aside_at TEXT NOT NULL
);
CREATE INDEX set_aside_retained ON set_aside (topic) WHERE retain = 1;

INSERT INTO counters VALUES ('set_aside', 0), ('coalesced', 0);
CREATE TRIGGER set_aside_in AFTER INSERT ON set_aside BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'set_aside';
END;
CREATE TRIGGER set_aside_out AFTER DELETE ON set_aside BEGIN
    UPDATE counters SET value = value - 1 WHERE name = 'set_aside';
END;
