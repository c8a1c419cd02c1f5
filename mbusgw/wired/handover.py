"""Readings on their way to the store: kept until they are on disk."""
from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from mbusgw.model.errors import StoreError
from mbusgw.model.ports import Delivery
from mbusgw.model.reading import Reading
from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.condition import Condition

log = logging.getLogger(__name__)

#: Readings of one meter that wait for a store that cannot write; of more, the oldest goes.
KEPT = 16


class Handover:
    """Delivers the readings of one meter in order, one at a time, again and again until stored. **own thread**

    ``done`` is called (in the store's thread) when a delivery has ended; the owner then
    calls ``settle``. ``retry`` is to be called when ``retry_in_s`` says so.
    """

    def __init__(
        self, device_id: str, delivery: Delivery, *, clock: Clock, done: Callable[[Future[Any]], object]
    ) -> None:
        self._device_id = device_id
        self._delivery = delivery
        self._clock = clock
        self._done = done
        self._waiting: deque[Reading] = deque()
        self._in_flight: Future[Any] | None = None
        self._retry_mono: float | None = None
        self._pause = Backoff(1, 30)
        self._condition = Condition(log, f"{device_id}: storing", clock)

    def __len__(self) -> int:
        return len(self._waiting)

    def hand(self, reading: Reading) -> None:
        """A new reading."""
        self._waiting.append(reading)
        if len(self._waiting) > KEPT:
            del self._waiting[1 if self._in_flight else 0]
            log.error("%s: a reading was given up, because %d wait to be stored", self._device_id, KEPT)
        if self._retry_mono is None:
            self._send()

    def settle(self, future: Future[Any]) -> None:
        """A delivery has ended; anything but ours is ignored."""
        if future is not self._in_flight:
            return
        self._in_flight = None
        error = future.exception()
        if isinstance(error, StoreError):
            self._refused(error)
            return
        self._waiting.popleft()
        if error is not None:
            raise error
        self._pause.reset()
        self._condition.cleared("works again")
        self._send()

    def retry_in_s(self) -> float | None:
        """Seconds until ``retry`` is due; None when nothing waits for it."""
        return None if self._retry_mono is None else max(0.0, self._retry_mono - self._clock.mono())

    def retry(self) -> None:
        """Tries again what could not be stored."""
        self._retry_mono = None
        self._send()

    def _send(self) -> None:
        if self._in_flight is not None or not self._waiting:
            return
        try:
            future = self._delivery.deliver(self._waiting[0])
        except StoreError as error:
            self._refused(error)
            return
        self._in_flight = future
        future.add_done_callback(self._done)

    def _refused(self, error: StoreError) -> None:
        self._condition.failed(error)
        self._retry_mono = self._clock.mono() + self._pause.next_s()
