"""A real store on a temporary path, with or without its thread."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mbusgw.runtime.clock import Clock, SystemClock
from mbusgw.store.writer import Store
from tests.fakes.workers import started
from tests.wait import PATIENCE_S


@contextmanager
def opened_store(path: Path, clock: Clock | None = None) -> Iterator[Store]:
    """A store that is open and whose ``step`` the test calls."""
    store = Store(path, clock=clock or SystemClock())
    store.open()
    try:
        yield store
    finally:
        store.stop()
        store.close()


@contextmanager
def running_store(path: Path, clock: Clock | None = None) -> Iterator[Store]:
    """A store with its thread."""
    with opened_store(path, clock) as store, started(store):
        yield store


def write(store: Store, *writes: Callable[[Any], Any]) -> list[Any]:
    """One unit of work, done when this returns; raises what it failed with."""
    future = store.submit(*writes)
    if not store.alive:
        store.step()
    return future.result(PATIENCE_S)


def rows(store: Store, query: str, *values: object) -> list[tuple[Any, ...]]:
    """What a query finds, as plain tuples."""
    reader = store.reader()
    try:
        return [tuple(row) for row in reader.execute(query, values)]
    finally:
        reader.close()


def one(store: Store, query: str, *values: object) -> Any:
    """The one value that a query finds."""
    ((value,),) = rows(store, query, *values)
    return value
