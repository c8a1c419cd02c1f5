"""The mapping in force, as the parser threads ask for it."""
from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mbusgw.store.mappings import LOOK_S, Mappings
from tests.fakes.clock import FakeClock
from tests.fakes.stores import running_store


def test_whoever_asks_during_the_first_look_is_not_told_that_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_store(tmp_path / "x.db") as store:
        Mappings(store, FakeClock()).put('{"mappings":[]}')
        mappings = Mappings(store, FakeClock())
        opened, told = store.reader, []

        def meanwhile() -> sqlite3.Connection:
            """Another thread asks while this one looks."""
            monkeypatch.undo()
            told.append(mappings.body())
            return opened()

        monkeypatch.setattr(store, "reader", meanwhile)
        assert mappings.body() == b'{"mappings":[]}'
        assert told == [b'{"mappings":[]}']


def test_a_mapping_that_others_put_into_the_table_is_noticed(tmp_path: Path) -> None:
    clock = FakeClock()
    with running_store(tmp_path / "x.db") as store:
        mappings = Mappings(store, clock)
        assert mappings.body() is None
        Mappings(store, clock).put('{"mappings":[]}')
        assert mappings.body() is None
        clock.advance(LOOK_S)
        assert mappings.body() == b'{"mappings":[]}'
