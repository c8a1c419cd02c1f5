"""The tables that outsiders may read, and their columns."""
from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.contracts.conftest import World

pytestmark = pytest.mark.slow

TABLES = {
    "device_states": {"device_id", "state_json", "last_update", "online", "version"},
    "mqtt_queue": {"id", "topic", "payload", "retain", "created_at"},
    "telegrams": {"ingest_id", "gateway_id", "rx_time", "rssi", "raw_hex", "status", "created_at"},
    "parse_results": {"ingest_id", "parsed_json", "published_at"},
    "meter_keys": {"meter_id", "manufacturer", "key_hex", "updated_at"},
    "domain_mappings": {"id", "json", "version", "active"},
    "discovery": {"topic", "device_id", "payload"},
    "readings": {"device_id", "read_at", "fields_json", "quarantined"},
}
#: Tables of which this run must have filled the rows.
FILLED = ("device_states", "telegrams", "parse_results", "meter_keys", "discovery", "readings")


@pytest.mark.parametrize("table", list(TABLES))
def test_a_table_has_its_columns(world: World, table: str) -> None:
    with closing(sqlite3.connect(f"{world.daemon.database.as_uri()}?mode=ro", uri=True)) as connection:
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    assert TABLES[table] <= columns


@pytest.mark.parametrize("table", FILLED)
def test_a_table_is_filled_by_the_daemon(world: World, table: str) -> None:
    with closing(sqlite3.connect(f"{world.daemon.database.as_uri()}?mode=ro", uri=True)) as connection:
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0


def test_the_database_writes_ahead(world: World) -> None:
    with closing(sqlite3.connect(world.daemon.database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
