"""A store for every test."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mbusgw.store.writer import Store
from tests.fakes.clock import FakeClock
from tests.fakes.stores import opened_store, running_store


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


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
