"""Something with a thread, for the length of a block."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from tests.wait import PATIENCE_S


class Startable(Protocol):
    """A worker, or what has workers within."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def join(self, timeout: float) -> bool: ...


T = TypeVar("T", bound=Startable)


@contextmanager
def started(worker: T) -> Iterator[T]:
    """``worker`` at work; seen to end afterwards."""
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()
        assert worker.join(PATIENCE_S), f"{worker} did not stop"
