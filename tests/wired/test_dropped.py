"""A converter that breaks its TCP connection off again and again."""
from __future__ import annotations

import pytest

from mbusgw.simulator.line import TcpLine
from mbusgw.wired.bus import Bus
from tests.simulator.wire import CLOCK, running_segment
from tests.wait import wait_until
from tests.wired.house import Lane, bus_config, running

DROPS = 2


@pytest.mark.slow
def test_each_meter_is_read_again_after_each_drop_and_says_nothing_untrue() -> None:
    line = TcpLine()
    with running_segment(line, meters=3) as segment:
        lane = Lane(Bus(bus_config(segment.port), clock=CLOCK), {f"meter_{n}": n for n in (1, 2, 3)}, interval=0.2)
        with running(*lane.workers()):
            for _ in range(DROPS + 1):
                before = {name: len(lane.delivery.of(name)) for name in lane.meters}
                for name, count in before.items():
                    wait_until(lane.has_read(name, count + 2))
                segment.drop()
                wait_until(lambda: not lane.bus.snapshot().connected)
            assert {kind for name in lane.meters for kind in lane.failures.kinds(name)} <= {
                "TransportLost", "TransportOpenFailed"
            }, "it is not the meters' trouble"  # fmt: skip
        for n, meter in enumerate(segment.meters, start=1):
            readings = lane.delivery.of(f"meter_{n}")
            for field in meter.expected():
                assert {reading.fields[field].value for reading in readings} <= meter.sent_values(field)
