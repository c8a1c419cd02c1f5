"""A segment of simulated meters for a test."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.catalogue import build_meters
from mbusgw.simulator.line import PtyLine
from mbusgw.simulator.segment import Segment
from tests.wait import PATIENCE_S


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    """Five meters at addresses 1 to 5 on a pty, at 9600 baud to be quick."""
    clock = SystemClock()
    one = Segment(PtyLine(tmp_path / "bus"), build_meters(5, clock=clock), clock=clock, baudrate=9600)
    one.start()
    yield one
    one.stop()
    assert one.join(PATIENCE_S)
