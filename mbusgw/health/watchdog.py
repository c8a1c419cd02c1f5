"""Tells the service manager that the work goes on, and only then."""
from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from mbusgw.runtime.clock import Clock
from mbusgw.runtime.heartbeat import Heartbeat
from mbusgw.runtime.stalls import stack_of, where_everybody_is
from mbusgw.runtime.worker import Worker

log = logging.getLogger(__name__)

#: A stall is noticed, and its end told, within this time even if nobody else watches.
LOOK_S = 10.0


class Watched(Protocol):
    """A thread with a heartbeat; every ``Worker`` is one."""

    @property
    def name(self) -> str: ...

    @property
    def heartbeat(self) -> Heartbeat: ...

    @property
    def thread_id(self) -> int | None: ...


class Manager(Protocol):
    """Who is told; ``ServiceManager`` is one."""

    def watchdog(self) -> None: ...


class Watchdog(Worker):
    """Sends ``WATCHDOG=1`` at half the interval while every heartbeat beats.

    When one stalls, it is named once with its stack, and nothing is sent until it beats again: then at once.
    ``interval_s`` None (nobody watches): stalls are named all the same. **own thread**
    """

    def __init__(
        self,
        manager: Manager,
        clock: Clock,
        *,
        interval_s: float | None,
        watched: Callable[[], Sequence[Watched]],
    ) -> None:
        super().__init__("watchdog", clock)
        self._manager = manager
        self._watched = watched
        self._period_s = interval_s / 2 if interval_s is not None else None
        self._look_s = min(LOOK_S, self._period_s or LOOK_S)
        self._next_mono = clock.mono()
        self._stalled_since: dict[str, float] = {}

    def step(self) -> None:
        """One look; then waits for the next."""
        self.look()
        self.wait(self._look_s)

    def look(self) -> bool:
        """Names who stalls or goes on again; sends when due. True when nobody stalls."""
        now_mono = self.clock.mono()
        stalled = {one.name: one for one in self._watched() if one.heartbeat.stalled}
        for name in [name for name in self._stalled_since if name not in stalled]:
            log.info("%s goes on after a stall of %.0f s", name, now_mono - self._stalled_since.pop(name))
        for name, one in stalled.items():
            if name not in self._stalled_since:
                self._stalled_since[name] = now_mono - one.heartbeat.age_s
                self._report(one)
        if stalled:
            self._next_mono = now_mono  # due at once when it goes on
        elif self._period_s is not None and now_mono >= self._next_mono - self._look_s / 2:  # nearer now than next time
            self._next_mono = now_mono + self._period_s
            self._manager.watchdog()
        return not stalled

    @staticmethod
    def _report(one: Watched) -> None:
        log.error(
            "%s makes no progress for %.0f s; it stands here:\n%s\nall threads:\n%s",
            one.name,
            one.heartbeat.age_s,
            stack_of(one.thread_id),
            where_everybody_is(),
        )
