"""Opening the file: schema, settings, and everything that can be wrong with it."""
from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from mbusgw.model.errors import SchemaTooNew, StoreBusy, StoreDamaged, StoreError, StoreFull
from mbusgw.store import database
from tests.fakes.stores import opened_store

#: What outsiders may read: the columns that the contract names.
CONTRACT = {
    "device_states": {"device_id", "state_json", "last_update", "online", "version"},
    "mqtt_queue": {"id", "topic", "payload", "retain", "created_at"},
    "telegrams": {"ingest_id", "gateway_id", "rx_time", "rssi", "raw_hex", "status", "created_at"},
    "parse_results": {"ingest_id", "parsed_json", "published_at"},
    "meter_keys": {"meter_id", "manufacturer", "key_hex", "updated_at"},
    "domain_mappings": {"id", "json", "version", "active"},
    "discovery": {"topic"},
    "readings": {"device_id", "read_at", "fields_json"},
}
PRIMARY_KEYS = {
    "device_states": "device_id",
    "telegrams": "ingest_id",
    "parse_results": "ingest_id",
    "meter_keys": "meter_id",
}


def columns(connection: sqlite3.Connection, table: str) -> dict[str, int]:
    return {row[1]: row[5] for row in connection.execute(f"PRAGMA table_info({table})")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mbusgw.db"


@pytest.mark.parametrize("table", CONTRACT)
def test_every_table_of_the_contract_has_its_columns(path: Path, table: str) -> None:
    connection = database.open_writer(path)
    found = columns(connection, table)
    connection.close()
    assert CONTRACT[table] <= found.keys()
    if table in PRIMARY_KEYS:
        assert found[PRIMARY_KEYS[table]] == 1


def test_a_commit_survives_a_power_cut_by_the_settings(path: Path) -> None:
    connection = database.open_writer(path)
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2, "FULL"
    assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    connection.close()


def test_the_folder_is_made(tmp_path: Path) -> None:
    database.open_writer(tmp_path / "a" / "b" / "mbusgw.db").close()
    assert (tmp_path / "a" / "b" / "mbusgw.db").exists()


def test_opening_twice_keeps_what_is_there(path: Path) -> None:
    connection = database.open_writer(path)
    connection.execute("INSERT INTO discovery VALUES ('t', 'd', 'p', 'now')")
    connection.close()
    connection = database.open_writer(path)
    assert connection.execute("SELECT count(*) FROM discovery").fetchone()[0] == 1
    connection.close()


def test_a_file_that_is_no_database_is_named_as_damaged_and_left_alone(path: Path) -> None:
    path.write_bytes(b"This is not a database. " * 100)
    with pytest.raises(StoreDamaged) as caught:
        database.open_writer(path)
    assert str(path) in str(caught.value) and "backup" in caught.value.hint
    assert path.read_bytes().startswith(b"This is not")


def test_a_database_of_a_newer_version_is_refused_untouched(path: Path) -> None:
    connection = database.open_writer(path)
    newest = database.migrations()[-1][0]
    connection.execute(f"PRAGMA user_version = {newest + 1}")
    connection.close()
    with pytest.raises(SchemaTooNew, match=f"schema {newest + 1}.*up to {newest}"):
        database.open_writer(path)
    with sqlite3.connect(path) as plain:
        assert plain.execute("PRAGMA user_version").fetchone()[0] == newest + 1
    plain.close()


def test_a_folder_in_place_of_the_file_is_a_clear_error(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match="cannot write") as caught:
        database.open_writer(path)
    assert "--state-dir" in caught.value.hint


def test_a_file_in_place_of_the_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot write") as caught:
        database.open_writer(tmp_path / "file" / "mbusgw.db")
    assert "storage.path" in caught.value.hint


def test_a_database_that_another_process_holds_is_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreBusy) as caught:
        database.open_writer(path)
    assert caught.value.retryable
    holder.close()


def test_a_migration_that_fails_half_way_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = database.migrations()
    bad = [*steps, (steps[-1][0] + 1, "CREATE TABLE half (a); CREATE TABLE half (a);")]
    monkeypatch.setattr(database, "migrations", lambda: bad)
    with pytest.raises(StoreError):
        database.open_writer(path)
    monkeypatch.undo()
    connection = database.open_writer(path)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == steps[-1][0]
    assert not columns(connection, "half")
    connection.close()


def test_migrations_are_numbered_without_a_gap() -> None:
    numbers = [number for number, _ in database.migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_migration_has_its_own_test() -> None:
    here = Path(__file__).parent
    for number, _ in database.migrations():
        assert list(here.glob(f"test_migration_{number:04d}*.py")), f"no test of migration {number}"


def test_a_reader_cannot_write(path: Path) -> None:
    database.open_writer(path).close()
    reader = database.open_reader(path)
    with pytest.raises(sqlite3.OperationalError):
        reader.execute("DELETE FROM telegrams")
    reader.close()


def test_a_reader_of_a_missing_file_is_a_clear_error(path: Path) -> None:
    with pytest.raises(StoreError):
        database.open_reader(path)
    assert not path.exists()


def test_a_path_with_odd_letters_can_be_read(tmp_path: Path) -> None:
    with opened_store(tmp_path / "zähler #1 ?x" / "100%.db") as store:
        store.reader().close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, StoreFull),
        (sqlite3.SQLITE_IOERR_WRITE, StoreFull),
        (sqlite3.SQLITE_BUSY, StoreBusy),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreBusy),
        (sqlite3.SQLITE_CORRUPT, StoreDamaged),
        (sqlite3.SQLITE_NOTADB, StoreDamaged),
        (sqlite3.SQLITE_READONLY, StoreError),
        (None, StoreError),
    ],
)
def test_each_error_of_sqlite_becomes_one_of_ours(code: int | None, kind: type[StoreError]) -> None:
    error = sqlite3.OperationalError("why")
    if code is not None:
        error.sqlite_errorcode = code
    assert type(database.translate(error)) is kind
    assert "why" in str(database.translate(error))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_is_a_clear_error(path: Path) -> None:
    database.open_writer(path).close()
    path.chmod(0o444)
    with pytest.raises(StoreError):
        database.open_writer(path)
