"""Formats on disk."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from mbusgw.store import database, formats

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = database.open_writer(tmp_path / "one.db")
    yield connection
    connection.close()


def test_formats_come_back_oldest_first_and_only_so_many_are_kept(connection: sqlite3.Connection) -> None:
    for number in range(5):
        formats.keep(number, bytes((4, number)), NOW, most=3)(connection)
    formats.keep(2, bytes((4, 2)), NOW, most=3)(connection)
    assert formats.load(connection) == [bytes((4, 3)), bytes((4, 4)), bytes((4, 2))]


def test_two_formats_may_share_a_signature(connection: sqlite3.Connection) -> None:
    formats.keep(1, b"\x04\x13", NOW, most=10)(connection)
    formats.keep(1, b"\x04\x06", NOW, most=10)(connection)
    assert len(formats.load(connection)) == 2
