"""Differences between two parsers on disk."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbusgw.store import database, differences
from tests.fakes.clock import START
from tests.fakes.telegrams import received


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = database.open_writer(tmp_path / "one.db")
    yield connection
    connection.close()


def test_the_newest_come_first_and_only_so_many_are_kept(connection: sqlite3.Connection) -> None:
    for number in range(5):
        differences.keep(received(f"t{number}"), "12345678", [f"difference {number}"], START, most=3)(connection)
    assert [row["difference"] for row in differences.newest(connection, 2)] == ["difference 4", "difference 3"]
    assert differences.count(connection) == 3
    assert differences.overview(connection, 1)["newest_differences"][0]["ingest_id"] == "t4"


def test_a_telegram_that_is_parsed_again_does_not_count_twice(connection: sqlite3.Connection) -> None:
    for _ in range(2):
        differences.keep(received("t1"), None, ["a", "b"], START)(connection)
    assert differences.count(connection) == 2
