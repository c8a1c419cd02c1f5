-- What the parsers must not forget.

-- The formats of full frames, DIF to last VIFE of every record; compact frames only name theirs.
CREATE TABLE formats (
    signature INTEGER NOT NULL,
    format    BLOB NOT NULL,
    seen_at   TEXT NOT NULL,
    PRIMARY KEY (signature, format)
);

-- What a deferred telegram waits for, where that is more than time: 'format:EF92'.
ALTER TABLE telegrams ADD COLUMN waits_for TEXT;
CREATE INDEX telegrams_waiting ON telegrams (waits_for) WHERE status = 'deferred' AND waits_for IS NOT NULL;

-- Where two parsers read one telegram differently.
CREATE TABLE parse_differences (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    ingest_id  TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    meter_id   TEXT,
    found_at   TEXT NOT NULL,
    difference TEXT NOT NULL
);
CREATE INDEX parse_differences_time ON parse_differences (found_at);

-- Readings of our own decoder that the service is still to be asked about.
CREATE TABLE confirmations (
    ingest_id  TEXT PRIMARY KEY REFERENCES telegrams (ingest_id) ON DELETE CASCADE,
    attempts   INTEGER NOT NULL DEFAULT 0,
    retry_at   TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX confirmations_due ON confirmations (retry_at);
ALTER TABLE parse_results ADD COLUMN confirmed_at TEXT;
