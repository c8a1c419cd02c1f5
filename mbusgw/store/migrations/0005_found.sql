-- Meters that scans have found, and where an unfinished scan goes on.

CREATE TABLE found (
    meter      TEXT PRIMARY KEY,   -- who it is on which bus
    bus        TEXT NOT NULL,
    found_at   TEXT NOT NULL,
    found_json TEXT NOT NULL
);

CREATE TABLE scans (
    bus        TEXT PRIMARY KEY,
    place_json TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
