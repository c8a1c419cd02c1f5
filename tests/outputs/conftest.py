"""A store with its thread, and a web server."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mbusgw.store.writer import Store
from tests.fakes.consumer import Consumer
from tests.fakes.stores import running_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with running_store(tmp_path / "mbusgw.db") as store:
        yield store


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    with Consumer() as consumer:
        yield consumer
