"""Schema 1: an empty database, its counters, and the rules it keeps by itself."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbusgw.store import database


@pytest.fixture
def connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """A database with this one step."""
    first = database.migrations()[:1]
    monkeypatch.setattr(database, "migrations", lambda: first)
    connection = database.open_writer(tmp_path / "one.db")
    yield connection
    connection.close()


def test_it_makes_an_empty_database_of_version_1(connection: sqlite3.Connection) -> None:
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 1
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    filled = {table for table in tables if connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]}
    assert filled == {"counters"}
    assert dict(connection.execute("SELECT name, value FROM counters")) == {"outbox": 0, "telemetry": 0, "backlog": 0}


def test_an_outbox_id_is_never_used_again(connection: sqlite3.Connection) -> None:
    insert = "INSERT INTO mqtt_queue (topic, payload, retain, created_at) VALUES ('t', 'p', 0, 'now') RETURNING id"
    first = connection.execute(insert).fetchone()[0]
    connection.execute("DELETE FROM mqtt_queue")
    assert connection.execute(insert).fetchone()[0] > first


def test_a_parse_result_belongs_to_a_telegram_and_goes_with_it(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO parse_results (ingest_id, parsed_json) VALUES ('t1', '{}')")
    connection.execute(
        "INSERT INTO telegrams (ingest_id, gateway_id, rx_time, raw_hex, status, created_at, digest)"
        " VALUES ('t1', 'gw', 'now', '00', 'parsed', 'now', x'00')"
    )
    connection.execute("INSERT INTO parse_results (ingest_id, parsed_json) VALUES ('t1', '{}')")
    connection.execute("DELETE FROM telegrams")
    assert connection.execute("SELECT count(*) FROM parse_results").fetchone()[0] == 0


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT 1 FROM telegrams WHERE digest = x'00' AND created_at BETWEEN '1' AND '2'", "telegrams_digest"),
        ("SELECT ingest_id FROM telegrams WHERE status = 'received' ORDER BY rowid LIMIT 5", "telegrams_received"),
        (
            "SELECT ingest_id FROM telegrams WHERE status = 'deferred' AND (retry_at <= '1' OR retry_at > '2')"
            " ORDER BY retry_at LIMIT 5",
            "telegrams_deferred",
        ),
        ("DELETE FROM mqtt_queue WHERE topic = 't' AND retain = 1", "mqtt_queue_retained"),
        ("SELECT 1 FROM mqtt_queue WHERE ingest_id = 'x' LIMIT 1", "mqtt_queue_telegram"),
        ("SELECT id FROM readings WHERE read_at < '1' LIMIT 5", "readings_time"),
    ],
)
def test_what_is_asked_all_the_time_is_answered_from_an_index(
    connection: sqlite3.Connection, query: str, index: str
) -> None:
    plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
    assert index in plan
    assert "TEMP B-TREE" not in plan
