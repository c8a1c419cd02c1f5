"""A store for every test, and databases of former schemas."""
from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from mbusgw.store import database
from mbusgw.store.writer import Store
from tests.fakes.clock import FakeClock
from tests.fakes.stores import opened_store, running_store

Opened = Callable[..., AbstractContextManager[sqlite3.Connection]]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Opens the test's one database as the program of a schema does, or that of today, for the length of a block."""
    steps = database.migrations()

    @contextmanager
    def as_of(schema: int | None = None) -> Iterator[sqlite3.Connection]:
        with monkeypatch.context() as patch:
            patch.setattr(database, "migrations", lambda: steps[:schema])
            connection = database.open_writer(tmp_path / "old.db")
        with closing(connection):
            yield connection

    return as_of


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    """Open, without its thread: ``write`` steps it."""
    with opened_store(tmp_path / "mbusgw.db", clock) as store:
        yield store


@pytest.fixture
def live_store(tmp_path: Path) -> Iterator[Store]:
    """With its thread."""
    with running_store(tmp_path / "mbusgw.db") as store:
        yield store
