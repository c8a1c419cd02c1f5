"""Meters in memory, on a clock that a wait moves on: to the microsecond right, however busy the machine is.

On a real port an answer may come late because the machine was busy, and a meter seem silent that is not. Here the
meters answer in the thread that asks, while it waits, and a wait takes no time.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Protocol

from mbusgw.runtime.clock import Clock, SystemClock
from mbusgw.simulator.cable import Cable
from mbusgw.simulator.catalogue import build_meters
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.simulator.virtual import VirtualLine
from mbusgw.transports.latency import UNKNOWN_SLACK_S
from tests.fakes.clock import FakeClock


class MovableClock(Clock, Protocol):
    """A clock that can be moved on."""

    def advance(self, seconds: float) -> None:
        """Both hands go on."""


class SkippingClock:
    """Real time, and what the waits for the wire have skipped: for threads that also wait for other things.
    **any thread** (one number, written by the thread of the bus)"""

    def __init__(self) -> None:
        self._real = SystemClock()
        self.skipped_s = 0.0

    def mono(self) -> float:
        return self._real.mono() + self.skipped_s

    def now(self) -> datetime:
        return self._real.now() + timedelta(seconds=self.skipped_s)

    def advance(self, seconds: float) -> None:
        self.skipped_s += seconds


class MemoryPort(VirtualLine):
    """An open port on a cable, on a clock that others read too. **own thread**"""

    url = "memory"
    warning = ""

    def __init__(self, cable: Cable, clock: MovableClock) -> None:
        self._clock = clock
        super().__init__(cable, slack_s=UNKNOWN_SLACK_S)

    @property
    def now_mono(self) -> float:  # type: ignore[override]
        return self._clock.mono()

    @now_mono.setter
    def now_mono(self, mono: float) -> None:
        self._clock.advance(max(0.0, mono - self._clock.mono()))

    def close(self) -> None:
        """Nothing to give back."""


class MemorySegment:
    """What a test needs to know of a ``Segment``, without thread and port."""

    port = MemoryPort.url

    def __init__(self, cable: Cable, clock: MovableClock) -> None:
        self.cable = cable
        self.clock = clock

    @property
    def meters(self) -> tuple[SimulatedMeter, ...]:
        return self.cable.meters

    @property
    def requests(self) -> deque[tuple[float, bytes]]:
        return self.cable.requests

    @property
    def baudrate(self) -> int:
        return self.cable.baudrate

    @property
    def answer_delay_s(self) -> float:
        return self.cable.answer_delay_s

    def open_port(self, url: str = port, *, baudrate: int | None = None, parity: str = "E") -> MemoryPort:
        """As a bus opens its port."""
        return MemoryPort(self.cable, self.clock)


@contextmanager
def memory_segment(
    meters: Sequence[SimulatedMeter] | int = 3,
    *,
    clock: MovableClock | None = None,
    baudrate: int = 38400,
    answer_delay_s: float = 0.004,
    echo: bool = False,
) -> Iterator[MemorySegment]:
    """Meters at true byte times of their own clock."""
    clock = clock or FakeClock()
    built = build_meters(meters, clock=clock) if isinstance(meters, int) else meters
    yield MemorySegment(Cable(built, baudrate=baudrate, answer_delay_s=answer_delay_s, echo=echo), clock)
