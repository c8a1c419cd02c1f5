"""Schema 1: an empty database, its counters, and the rules it keeps by itself."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from tests.store.conftest import Opened


@pytest.fixture
def connection(opened: Opened) -> Iterator[sqlite3.Connection]:
    """A database with this one step."""
    with opened(1) as connection:
        yield connection


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


STATUSES = ("received", "parsed", "published", "deferred", "key_missing", "failed", "duplicate")


def counters(connection: sqlite3.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT name, value FROM counters"))


def insert(connection: sqlite3.Connection, status: str) -> None:
    connection.execute(
        "INSERT INTO telegrams (ingest_id, gateway_id, rx_time, raw_hex, status, created_at, digest)"
        " VALUES ('t1', 'gw', 'now', '00', ?, 'now', x'00')",
        (status,),
    )


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_the_backlog_counts_what_waits_for_the_parser_through_every_change(
    connection: sqlite3.Connection, before: str, after: str
) -> None:
    insert(connection, before)
    assert counters(connection)["backlog"] == (before in ("received", "deferred"))
    connection.execute("UPDATE telegrams SET status = ?", (after,))
    assert counters(connection)["backlog"] == (after in ("received", "deferred"))
    connection.execute("DELETE FROM telegrams")
    assert counters(connection) == {"outbox": 0, "telemetry": 0, "backlog": 0}


def test_the_outbox_counts_all_its_rows_and_telemetry_those_that_are_not_retained(
    connection: sqlite3.Connection,
) -> None:
    put = "INSERT INTO mqtt_queue (topic, payload, retain, created_at) VALUES ('t', 'p', ?, 'now')"
    connection.executemany(put, [(0,), (1,), (0,), (0,)])
    assert counters(connection) == {"outbox": 4, "telemetry": 3, "backlog": 0}
    connection.execute("DELETE FROM mqtt_queue WHERE retain = 1")
    assert counters(connection) == {"outbox": 3, "telemetry": 3, "backlog": 0}
    connection.execute("DELETE FROM mqtt_queue WHERE id IN (SELECT id FROM mqtt_queue LIMIT 2)")
    assert counters(connection) == {"outbox": 1, "telemetry": 1, "backlog": 0}


def test_counters_are_undone_with_what_they_count(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    insert(connection, "received")
    connection.execute("ROLLBACK")
    assert counters(connection)["backlog"] == 0
