"""Orders to a segment that runs."""
from __future__ import annotations

import pytest

from mbusgw.simulator.catalogue import build_meters
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.line import PtyLine
from mbusgw.simulator.orders import Quit, WrongOrder, obey
from mbusgw.simulator.segment import Segment
from tests.simulator.wire import CLOCK


def segment() -> Segment:
    return Segment(PtyLine(), build_meters(3, clock=CLOCK), clock=CLOCK)


def test_a_meter_is_given_faults_and_healed() -> None:
    one = segment()
    assert obey(one, "fault 2 silent") == "water 2: silent"
    obey(one, "fault 10000002 late 2.0 p=0.5")
    assert one.meters[1].faults == (Fault(FaultKind.SILENT), Fault(FaultKind.LATE, delay_s=2.0, probability=0.5))
    assert "silent late:2:p=0.5" in obey(one, "list")
    obey(one, "heal 2")
    assert one.meters[1].faults == ()
    obey(one, "fault all checksum times=3")
    assert all(meter.fault is not None for meter in one.meters)


def test_the_line_obeys_too() -> None:
    one = segment()
    for line, answer in (("unplug", "unplugged"), ("plug", "plugged in"), ("drop", "dropped"), ("noise", "noise"),
                         ("noise 00ff", "noise"), ("echo on", "echo on"), ("", ""), ("  ", "")):
        assert obey(one, line) == answer
    assert one.cable.echo
    assert "METER" in obey(one, "help") and "never_ends" in obey(one, "kinds")
    with pytest.raises(Quit):
        obey(one, "quit")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dance", "`help` lists them"),
        ("fault", "no meter is called ''"),
        ("fault 9 silent", "no meter is called '9'"),
        ("fault 1", "no such fault"),
        ("fault 1 tired", "no such fault: 'tired'"),
        ("fault 1 silent p=2", "no option of silent"),
        ("heal", "no meter is called"),
        ("noise xyz", "hex digits"),
        ("echo maybe", "echo on"),
        ("unplug now", "nothing may follow"),
    ],
)
def test_a_wrong_order_gets_a_clear_answer(line: str, message: str) -> None:
    with pytest.raises(WrongOrder, match=message):
        obey(segment(), line)
