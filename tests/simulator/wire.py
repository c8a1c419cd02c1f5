"""Simulated segments for tests: started, and stopped whatever happens."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.catalogue import build_meters
from mbusgw.simulator.line import PtyLine, SimulatedLine
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.simulator.segment import Segment
from tests.wait import PATIENCE_S

CLOCK = SystemClock()
FAST = 38400


@contextmanager
def running_segment(
    line: SimulatedLine | None = None,
    meters: Sequence[SimulatedMeter] | int = 3,
    *,
    baudrate: int = FAST,
    answer_delay_s: float = 0.004,
    echo: bool = False,
) -> Iterator[Segment]:
    """A segment at true byte times, on a pty unless another line is given."""
    built = build_meters(meters, clock=CLOCK) if isinstance(meters, int) else meters
    segment = Segment(
        line or PtyLine(), built, clock=CLOCK, baudrate=baudrate, answer_delay_s=answer_delay_s, echo=echo
    )
    segment.start()
    try:
        yield segment
    finally:
        segment.stop()
        assert segment.join(PATIENCE_S), "the simulated segment did not stop"
