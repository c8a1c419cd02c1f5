"""Schema 4: what the parsers must not forget."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from tests.store.conftest import Opened

TELEGRAM = (
    "INSERT INTO telegrams (ingest_id, gateway_id, rx_time, raw_hex, status, created_at, content)"
    " VALUES ('t1', 'gw', 'now', '00', 'deferred', 'now', x'00')"
)


@pytest.fixture
def connection(opened: Opened) -> Iterator[sqlite3.Connection]:
    """A database of the step before with a telegram in it, brought to this one."""
    with opened(3) as before:
        before.execute(TELEGRAM)
        before.execute("INSERT INTO parse_results (ingest_id, parsed_json) VALUES ('t1', '{}')")
    with opened(4) as connection:
        yield connection


def test_what_was_there_stays(connection: sqlite3.Connection) -> None:
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 4
    assert connection.execute("SELECT ingest_id, waits_for FROM telegrams").fetchall() == [("t1", None)]
    assert connection.execute("SELECT parsed_json, confirmed_at FROM parse_results").fetchall() == [("{}", None)]


def test_a_confirmation_goes_with_its_telegram(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO confirmations (ingest_id, retry_at, created_at) VALUES ('t1', 'now', 'now')")
    connection.execute("DELETE FROM telegrams")
    assert connection.execute("SELECT count(*) FROM confirmations").fetchone()[0] == 0


def test_who_waits_for_a_format_is_found_without_reading_all(connection: sqlite3.Connection) -> None:
    query = "UPDATE telegrams SET retry_at = 'x' WHERE status = 'deferred' AND waits_for = 'format:EF92'"
    plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
    assert "telegrams_waiting" in plan
