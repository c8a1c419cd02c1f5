"""A bounded queue with one owner."""
from __future__ import annotations

import queue
import threading
from typing import Generic, TypeVar

from mbusgw.model.errors import Stopping

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Others ``offer``, the owner ``take``\\ s. ``offer``, ``close``: **any thread**; ``take``: **own thread**

    ``offer`` never blocks: it says False when the box is full or closed, and the caller
    decides what that means. ``take`` waits; after ``close`` it raises ``Stopping`` once
    the box is empty. With ``ordered`` items come out smallest first (they must compare).
    """

    def __init__(self, maxsize: int, *, ordered: bool = False) -> None:
        self._queue: queue.Queue[T] = queue.PriorityQueue() if ordered else queue.Queue()
        self._maxsize = maxsize
        self._closed = threading.Event()
        self._wake = threading.Semaphore(0)

    def __len__(self) -> int:
        return self._queue.qsize()

    @property
    def closed(self) -> bool:
        """Nothing is accepted any more."""
        return self._closed.is_set()

    def offer(self, item: T) -> bool:
        """Puts ``item`` in, unless the box is full or closed."""
        if self._closed.is_set() or self._queue.qsize() >= self._maxsize:
            return False
        self._queue.put_nowait(item)
        self._wake.release()
        return True

    def take(self, timeout: float) -> T | None:
        """The next item, or None after ``timeout`` seconds. Raises ``Stopping`` when closed and empty."""
        if self._wake.acquire(timeout=max(0.0, timeout)):
            try:
                return self._queue.get_nowait()
            except queue.Empty:
                pass
        if self._closed.is_set() and self._queue.empty():
            raise Stopping
        return None

    def drain(self, limit: int) -> list[T]:
        """Up to ``limit`` further items that are there already; never waits."""
        items: list[T] = []
        while len(items) < limit and self._wake.acquire(blocking=False):
            try:
                items.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return items

    def close(self) -> None:
        """Accepts nothing more and wakes the owner."""
        self._closed.set()
        self._wake.release()
