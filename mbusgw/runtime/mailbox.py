"""A bounded queue with one owner."""
from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Sequence, Sized
from functools import partial
from typing import Any, Generic, TypeVar

from mbusgw.model.errors import Stopping

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Others ``offer``, the owner ``take``\\ s. ``take``, ``drain``: **own thread**; the rest: **any thread**

    ``offer`` never blocks: it says False when the box is full or closed, and the caller
    decides what that means. ``take`` waits; after ``close`` it raises ``Stopping`` once
    the box is empty. What was accepted is there when ``close`` returns: nothing slips in
    behind the owner's last look. With ``ordered`` items come out smallest first (they
    must compare). A team of equal threads may share the owner's part; ``close`` wakes all.
    """

    def __init__(self, maxsize: int, *, ordered: bool = False) -> None:
        self._items: Sized
        self._push: Callable[[T], None]
        self._pop: Callable[[], T]
        if ordered:
            heap: list[Any] = []
            self._items, self._push, self._pop = heap, partial(heapq.heappush, heap), partial(heapq.heappop, heap)
        else:
            line: deque[T] = deque()
            self._items, self._push, self._pop = line, line.append, line.popleft
        self._maxsize = maxsize
        self._closed = False
        self._changed = threading.Condition(threading.Lock())

    def __len__(self) -> int:
        return len(self._items)

    @property
    def closed(self) -> bool:
        """Nothing is accepted any more."""
        return self._closed

    def offer(self, item: T) -> bool:
        """Puts ``item`` in, unless the box is full or closed."""
        with self._changed:
            if self._closed or len(self._items) >= self._maxsize:
                return False
            self._push(item)
            self._changed.notify()
            return True

    def offer_all(self, items: Sequence[T]) -> bool:
        """Puts all ``items`` in and wakes one owner for them; False when there is no room for all, or it is closed."""
        with self._changed:
            if self._closed or len(self._items) + len(items) > self._maxsize:
                return False
            for item in items:
                self._push(item)
            self._changed.notify()
            return True

    def take(self, timeout: float) -> T | None:
        """The next item, or None after ``timeout`` seconds. Raises ``Stopping`` when closed and empty."""
        with self._changed:
            if not len(self._items) and not self._closed:
                self._changed.wait_for(lambda: len(self._items) or self._closed, max(0.0, timeout))
            if len(self._items):
                return self._pop()
            if self._closed:
                raise Stopping
            return None

    def drain(self, limit: int) -> list[T]:
        """Up to ``limit`` further items that are there already; never waits. What is left is the team's."""
        with self._changed:
            drained = [self._pop() for _ in range(min(limit, len(self._items)))]
            if len(self._items):
                self._changed.notify()
            return drained

    def close(self) -> None:
        """Accepts nothing more and wakes the owner."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
