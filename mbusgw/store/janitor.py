"""Keeps the database from growing for ever."""
from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from mbusgw.model.errors import StoreError
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.worker import Worker
from mbusgw.store import readings, telegrams
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

#: Rows deleted in one unit of work: few enough not to hold up a telegram that waits for its commit.
SLICE = 500
ROUND_S = 3600.0


class Janitor(Worker):
    """Deletes what is older than asked for, once an hour, a slice at a time. **own thread**

    Telegrams that wait for the parser or the broker are kept.
    """

    def __init__(self, store: Store, *, clock: Clock, keep_readings_s: float, keep_telegrams_s: float) -> None:
        super().__init__("janitor", clock)
        self._store = store
        self._keep_readings = timedelta(seconds=keep_readings_s)
        self._keep_telegrams = timedelta(seconds=keep_telegrams_s)
        self._next_mono = 0.0

    def step(self) -> None:
        """Waits for the hour, then cleans up."""
        if self.clock.mono() < self._next_mono:
            self.wait(30)
            return
        self._next_mono = self.clock.mono() + ROUND_S
        now = self.clock.now()
        self._clean("readings", readings.forget, now - self._keep_readings)
        self._clean("telegrams", telegrams.forget, now - self._keep_telegrams)

    def _clean(self, what: str, forget: Callable[..., int], before: datetime) -> None:
        total = 0
        while not self.stopping:
            try:
                (count,) = self._store.submit(lambda connection: forget(connection, before, SLICE)).result(timeout=30)
            except (StoreError, TimeoutError) as error:
                log.warning("old %s could not be deleted, trying again in an hour: %s", what, error)
                return
            total += count
            self.heartbeat.beat()
            if count < SLICE:
                break
        if total:
            log.info("deleted %d %s from before %s", total, what, before.date())
