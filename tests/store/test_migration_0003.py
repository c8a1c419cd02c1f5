"""Schema 3: keys have fingerprints, telegrams a maker; what a key moves is found by an index."""
from __future__ import annotations

import sqlite3

import pytest

from mbusgw.store import keys, telegrams
from mbusgw.store.vault import PLAIN, fingerprint
from tests.store.conftest import Opened

KEY = "0102030405060708090A0B0C0D0E0F11"


@pytest.fixture
def old(opened: Opened) -> Opened:
    """A database of schema 1 with a key and a telegram."""
    with opened(1) as connection:
        connection.execute("INSERT INTO meter_keys VALUES ('12345678', 'ELS', ?, '2026-01-01T00:00:00Z')", (KEY,))
        connection.execute("INSERT INTO domain_mappings (json, version, active) VALUES ('{}', 1, 1)")
        connection.execute(
            "INSERT INTO telegrams (ingest_id, gateway_id, rx_time, raw_hex, status, created_at, digest, key_hex)"
            " VALUES ('t1', 'gw', '2026-01-01', '00', 'key_missing', '2026-01-01', x'00', ?)",
            (KEY,),
        )
    return opened


def test_keys_and_telegrams_of_before_can_be_used(old: Opened) -> None:
    with old() as connection:
        connection.row_factory = sqlite3.Row
        stored = keys.find(connection, [("12345678", "ELS")])
        assert stored is not None and stored.fingerprint == fingerprint(bytes.fromhex(KEY))
        assert PLAIN.open(stored.text, stored.about) == bytes.fromhex(KEY)
        found = telegrams.load(connection, "t1")
        assert found is not None and found[0].key == bytes.fromhex(KEY)
        assert connection.execute("SELECT manufacturer FROM telegrams").fetchone()[0] is None
        assert connection.execute("SELECT json FROM domain_mappings WHERE active").fetchone()[0] == "{}"


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT 1 FROM telegrams WHERE meter_id = 'x'", "telegrams_meter"),
        ("SELECT 1 FROM telegrams WHERE duplicate_of = 'x'", "telegrams_duplicates"),
        ("SELECT 1 FROM telegrams WHERE status = 'failed' AND meter_id = 'x'", "telegrams_"),
    ],
)
def test_what_people_ask_is_answered_from_an_index(old: Opened, query: str, index: str) -> None:
    with old() as connection:
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
    assert index in plan
