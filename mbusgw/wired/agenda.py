"""When a meter is asked next, and how what becomes of it moves that."""
from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from math import inf

from mbusgw.model.errors import BusError, LinkError, MbusgwError
from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.breaker import BreakerState, CircuitBreaker
from mbusgw.runtime.clock import Clock
from mbusgw.wired.calendar import Calendar
from mbusgw.wired.schedule import Schedule

log = logging.getLogger(__name__)

#: How soon a meter asks again whether its port is back: unspoken, so it costs the bus nothing.
PORT_AWAY_S = 2.0
#: Pauses after failed reads, until the breaker opens, and between its probes.
RETRY_FIRST_S, RETRY_MAX_S = 5.0, 60.0
PROBE_FIRST_S, PROBE_MAX_S = 15.0, 60.0


class Agenda:
    """The times of one meter: its interval, its times of the day, and its failures, which grow rarer.

    After failed reads the pauses grow; after five in a row the breaker spaces them further. A time of the day that
    has come is tried for until there is a reading. ``breaker``, ``pending``, ``failures_in_a_row``, ``next_read_at``:
    any thread. The rest: **own thread**
    """

    def __init__(self, device_id: str, interval_s: float | None, at: Sequence[time], clock: Clock) -> None:
        self.failures_in_a_row = 0
        self._device_id = device_id
        self._clock = clock
        self._schedule = Schedule(device_id, interval_s)
        self._calendar = Calendar(at)
        self._breaker = CircuitBreaker(clock, first_pause_s=PROBE_FIRST_S, max_pause_s=PROBE_MAX_S)
        self._pause = Backoff(RETRY_FIRST_S, RETRY_MAX_S)

    # -------------------------------------------------- any thread
    @property
    def interval_s(self) -> float | None:
        """Seconds from one read to the next; None where it is read at its times of the day only."""
        return self._schedule.interval_s

    @property
    def breaker(self) -> BreakerState:
        """Whether it is asked as often as ever."""
        return self._breaker.state

    @property
    def pending(self) -> datetime | None:
        """The time of the day whose reading is still to come."""
        return self._calendar.pending

    def next_read_at(self) -> datetime | None:
        """When it is asked next; None where that is not known."""
        if not self._schedule.begun:
            return None
        now, due_in_s = self._clock.now(), self._schedule.due_mono - self._clock.mono()
        fixed = self._calendar.next_after(now)
        due = now + timedelta(seconds=max(0.0, due_in_s)) if due_in_s < inf else None
        return min((moment for moment in (due, fixed) if moment is not None), default=None)

    # -------------------------------------------------- own thread
    @property
    def begun(self) -> bool:
        """The first time is set."""
        return self._schedule.begun

    def begin(self) -> None:
        """Sets the first time, unless there is one. A probe that a crash left open is over."""
        if not self._schedule.begun:
            self._schedule.begin(self._clock.mono())
        self._end_probe()

    def follow(self, interval_s: float | None) -> None:
        """From now on another interval, beginning with a read at once."""
        self._schedule.interval_s = interval_s
        self._schedule.begin(self._clock.mono())
        self._schedule.postpone(self._clock.mono(), 0)

    def heed_calendar(self) -> None:
        """A time of the day that has come makes the meter due, and keeps it so until it was read."""
        now = self._clock.now()
        if self._calendar.begins(now):
            self._schedule.postpone(self._clock.mono(), 0)
        if (missed := self._calendar.given_up(now)) is not None:
            local = missed.astimezone().isoformat(sep=" ", timespec="minutes")
            log.warning("%s: there is no reading of %s; it was tried for an hour", self._device_id, local)
            self._schedule.advance(self._clock.mono())

    def wait_s(self) -> float:
        """Seconds until there is something to do; 0 when the meter is to be asked now."""
        now_mono = self._clock.mono()
        if self._schedule.due_mono <= now_mono:
            if self._breaker.allow():
                return 0.0
            self._schedule.postpone(now_mono, max(0.1, self._breaker.retry_in_s()))
        return min(self._schedule.due_mono - now_mono, self._fixed_in_s())

    def _fixed_in_s(self) -> float:
        now = self._clock.now()
        fixed = self._calendar.next_after(now)
        return inf if fixed is None else max(0.0, (fixed - now).total_seconds())

    # -------------------------------------------------- what became of it
    def succeeded(self, read_at: datetime) -> None:
        """There is a reading."""
        self.failures_in_a_row = 0
        self._breaker.success()
        self._pause.reset()
        self._schedule.advance(self._clock.mono())
        self._calendar.read(read_at)

    def failed(self, error: MbusgwError) -> None:
        """There is none."""
        now_mono, interval_s = self._clock.mono(), self._schedule.interval_s or inf
        if isinstance(error, LinkError):
            self.failures_in_a_row += 1
            self._breaker.failure()
            pause_s = max(self._breaker.retry_in_s(), min(self._pause.next_s(), interval_s))
            self._schedule.postpone(now_mono, pause_s)
        elif isinstance(error, BusError):  # not the meter's trouble
            self._end_probe()
            self._schedule.postpone(now_mono, min(PORT_AWAY_S, interval_s))
        else:  # it answers, but not what we can read: as often as ever
            self._breaker.success()
            self._schedule.advance(now_mono)
            if self._calendar.pending is not None:
                self._schedule.postpone(now_mono, RETRY_MAX_S)

    def _end_probe(self) -> None:
        """A probe of the open breaker that told nothing about the meter."""
        if self._breaker.state is not BreakerState.CLOSED:
            self._breaker.failure()
