"""Whose turn it is on a bus: urgent ones first, but nobody waits for ever."""
from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count
from typing import Any

from mbusgw.mbus.session import Session
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.mailbox import Mailbox

MAX_JOBS = 2000


class Urgency(IntEnum):
    """Who is served before whom."""

    NOW = 0  # somebody waits for it
    ROUTINE = 1  # a meter that is due
    BACKGROUND = 2  # a scan


#: How long after its arrival a job has its place in the line; whoever arrived before that place goes first. So a job
#: that somebody waits for overtakes all, and one in the background has a turn every few seconds.
ALLOWANCE_S = {Urgency.NOW: float("-inf"), Urgency.ROUTINE: 0.0, Urgency.BACKGROUND: 2.0}


@dataclass(order=True, slots=True)
class Job:
    """Work for the bus thread. **own thread**, but ``future``: any thread"""

    place_s: float
    number: int
    urgency: Urgency = field(compare=False)
    deadline_mono: float = field(compare=False)
    run: Callable[[Session], Any] = field(compare=False)
    future: Future[Any] = field(compare=False)


class Turns:
    """The line of jobs before one bus. ``offer``, ``close``, ``len``: any thread; ``take``, ``drain``: **own thread**

    Meters that are due are served in the order in which they came, so that on a bus that cannot keep up each one is
    read as often as the others, whatever the intervals. What is done in the background goes into the gaps. Where
    there are none its place is counted from the arrival of the job that is being served, not from its own: behind
    a line half a minute long it would else wait half a minute for each of its hundreds of steps.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._box: Mailbox[Job] = Mailbox(MAX_JOBS, ordered=True)
        self._numbers = count()
        self._served_s = float("-inf")

    def __len__(self) -> int:
        return len(self._box)

    @property
    def closed(self) -> bool:
        """Nothing is accepted any more."""
        return self._box.closed

    def offer(self, run: Callable[[Session], Any], deadline_mono: float, urgency: Urgency) -> Future[Any] | None:
        """Puts a job in its place; None where the line is full or closed. Never blocks."""
        now_mono = self._clock.mono()
        if not len(self._box):
            self._served_s = now_mono
        came_s = min(now_mono, self._served_s) if urgency is Urgency.BACKGROUND else now_mono
        job = Job(came_s + ALLOWANCE_S[urgency], next(self._numbers), urgency, deadline_mono, run, Future())
        return job.future if self._box.offer(job) else None

    def take(self, timeout_s: float) -> Job | None:
        """Whoever is next, or None after the timeout. Raises ``Stopping`` when closed and empty."""
        job = self._box.take(timeout_s)
        if job is not None and job.urgency is not Urgency.NOW:
            self._served_s = job.place_s
        return job

    def drain(self) -> list[Job]:
        """All that wait; never waits itself."""
        return self._box.drain(MAX_JOBS)

    def close(self) -> None:
        """Accepts nothing more and wakes the owner."""
        self._box.close()
