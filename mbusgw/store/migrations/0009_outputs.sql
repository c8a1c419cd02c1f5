-- Other outputs than MQTT have no queue of their own: the history of readings is their queue, and each remembers how far
-- it has got. Whose meter a reading was of is kept with it, since a meter may be exchanged before an output has it.
ALTER TABLE readings ADD COLUMN meter_json TEXT;

CREATE TABLE outputs (
    name       TEXT PRIMARY KEY,
    reading_id INTEGER NOT NULL,           -- the last reading that it has, or that was set aside
    lost       INTEGER NOT NULL DEFAULT 0  -- readings that the history forgot before it had them
);

-- Readings that an output will never take, and why: the others go on, these can be looked at.
CREATE TABLE output_set_aside (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    output       TEXT NOT NULL,
    reading_id   INTEGER NOT NULL,
    device_id    TEXT NOT NULL,
    read_at      TEXT NOT NULL,
    reason       TEXT NOT NULL,
    set_aside_at TEXT NOT NULL
);
