"""Keeps the database from growing for ever."""
from __future__ import annotations

import logging
from contextlib import closing
from datetime import datetime, timedelta

from mbusgw.model.errors import StoreError
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.worker import Worker
from mbusgw.store import retention
from mbusgw.store.retention import READINGS, TELEGRAMS, Table
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

#: Rows deleted in one unit of work: few enough not to hold up a telegram that waits for its commit.
SLICE = 500
ROUND_S = 600.0
#: The end of a table moves on at most so many times as fast as time passes: fast enough to catch up with a gateway that
#: was off, or with less that is to be kept; slow enough to lose little while a clock is wrong.
PACE = 12


class Janitor(Worker):
    """Deletes what was kept for as long as asked for, every ten minutes, a slice at a time. **own thread**

    It begins ten minutes after the start, and goes on through a table no faster than ``PACE``: a clock that is wrong
    for an hour, however wrong, costs some hours of the oldest rows and not the history. ``store.retention`` tells what
    goes.
    """

    def __init__(self, store: Store, *, clock: Clock, keep_readings_s: float, keep_telegrams_s: float) -> None:
        super().__init__("janitor", clock)
        self._store = store
        self._keep = ((READINGS, timedelta(seconds=keep_readings_s)), (TELEGRAMS, timedelta(seconds=keep_telegrams_s)))
        self._next_mono = clock.mono() + ROUND_S
        self._ends: dict[Table, datetime] = {}  # before which nothing is left

    def step(self) -> None:
        """Waits for its time, then cleans up."""
        if self.clock.mono() < self._next_mono:
            self.wait(30)
            return
        self._next_mono = self.clock.mono() + ROUND_S
        for table, keep in self._keep:
            try:
                self._clean(table, keep)
            except (StoreError, TimeoutError) as error:
                log.warning("old %s could not be deleted, trying again later: %s", table.name, error)

    def _clean(self, table: Table, keep: timedelta) -> None:
        now = self.clock.now()
        with closing(self._store.reader()) as reader:
            end = self._ends.get(table) or retention.oldest(reader, table, now)
            if end is None:
                return
            before = self._ends[table] = min(now - keep, end + timedelta(seconds=PACE * ROUND_S))
            last = retention.last_before(reader, table, before, now)
        if last is None:
            return
        total = after = 0
        while after < last and not self.stopping:
            count, after = self._forget(table, last, after)
            total += count
            self.heartbeat.beat()
        if total:
            log.info("deleted %d %s from before %s", total, table.name, before.date())

    def _forget(self, table: Table, last: int, after: int) -> tuple[int, int]:
        (done,) = self._store.submit(
            lambda connection: retention.forget(connection, table, last, SLICE, after=after)
        ).result(timeout=30)
        count, after = done
        return int(count), int(after)
