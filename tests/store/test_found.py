"""Finds and places of scans, kept over restarts."""
from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest

from mbusgw.model.address import SecondaryAddress
from mbusgw.model.found import FoundMeter
from mbusgw.model.meter import MeterIdentity
from mbusgw.store import database, found

NOW = datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=timezone.utc)
HEAT = MeterIdentity("12345678", "KAM", 8, 4)
METERS = (
    FoundMeter("main", HEAT, 5, SecondaryAddress.of(HEAT), 2400, NOW, "Multical 601", "a note"),
    FoundMeter("main", MeterIdentity("00000001", None, None, 4), None, None, 300, NOW),
    FoundMeter("main", None, 7, None, 2400, NOW),
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(database.open_writer(tmp_path / "found.db")) as connection:
        yield connection


def test_a_find_comes_back_as_it_was(connection: sqlite3.Connection) -> None:
    for meter in METERS:
        found.save(connection, meter)
    assert set(found.load(connection)) == set(METERS)


def test_a_find_replaces_the_earlier_one_of_the_same_meter(connection: sqlite3.Connection) -> None:
    found.save(connection, METERS[0])
    moved = FoundMeter("main", HEAT, 6, None, 9600, NOW)
    found.save(connection, moved)
    assert found.load(connection) == [moved]
    found.forget(connection, moved.key)
    assert found.load(connection) == []


def test_what_cannot_be_understood_is_left_out(
    connection: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    found.save(connection, METERS[0])
    for number, text in enumerate(("", "{}", "[]", '{"bus": "main", "meter": 3}', "null")):
        connection.execute("INSERT INTO found VALUES (?, 'main', 'now', ?)", (str(number), text))
    with caplog.at_level(logging.WARNING):
        assert found.load(connection) == [METERS[0]]
    assert len(caplog.records) == 5


def test_a_place_is_kept_until_it_is_forgotten(connection: sqlite3.Connection) -> None:
    found.save_place(connection, "main", {"part": 1}, NOW)
    found.save_place(connection, "main", {"part": 2}, NOW)
    connection.execute("INSERT INTO scans VALUES ('other', 'no json', 'now')")
    assert found.places(connection) == {"main": {"part": 2}}
    found.forget_place(connection, "main")
    assert found.places(connection) == {}
