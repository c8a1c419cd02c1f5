"""How much time a meter is given: more after a late answer, and no longer than it needs it."""
from __future__ import annotations

from contextlib import suppress

import pytest

from mbusgw.mbus.pace import SILENCES_MAX, STEP_MAX, Pace
from mbusgw.mbus.session import Session
from mbusgw.model.errors import NoAnswer
from mbusgw.simulator.cable import Cable
from mbusgw.simulator.catalogue import build_meter
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.virtual import VirtualLine
from tests.mbus.test_session import window_of
from tests.simulator.wire import CLOCK


def answers_in_time_until_forgiven(pace: Pace) -> int:
    count = 0
    while pace.patience > 1:
        pace.answered(in_time=True, data=True)
        count += 1
    return count


def test_a_late_answer_earns_as_many_windows_as_it_needed_and_one_more() -> None:
    pace = Pace()
    pace.late(4.2)
    assert pace.patience == 6
    pace.late(1000)
    assert pace.patience == STEP_MAX


def test_each_relapse_keeps_the_longer_window_twice_as_long() -> None:
    pace, counts = Pace(), []
    for _ in range(4):
        pace.late(3)
        counts.append(answers_in_time_until_forgiven(pace))
    assert counts == [8, 16, 32, 64]


def test_a_meter_that_needs_its_longer_window_now_and_then_keeps_it() -> None:
    pace = Pace()
    pace.late(3)
    for n in range(100):
        pace.answered(in_time=n % 7 > 0, data=True)
    assert pace.patience == 4


def test_one_that_is_silent_loses_it() -> None:
    pace = Pace()
    pace.late(3)
    for n in range(SILENCES_MAX):
        pace.missed(float(n))
    assert pace.patience == 1


def test_a_slow_meter_that_falls_silent_costs_its_longer_window_three_times_and_then_the_standards() -> None:
    meter = build_meter("heat", 1, clock=CLOCK)
    line = VirtualLine(Cable([meter], baudrate=2400))
    session = Session(line, baudrate=2400, mono=line.mono)
    meter.fault = Fault(FaultKind.LATE, delay_s=1.0)
    while not meter.readouts:
        with suppress(NoAnswer):
            session.read_user_data(1)
        line.sleep_until(line.mono() + 2)
        session.look()
    session.read_user_data(1)
    meter.fault = Fault(FaultKind.SILENT)
    windows = [window_of(session, 1) for _ in range(5)]
    assert windows[0] == windows[2] != "192 ms" and windows[3:] == ["192 ms"] * 2


def test_one_that_only_acknowledges_loses_it_too() -> None:
    pace = Pace()
    pace.late(STEP_MAX)
    for n in range(SILENCES_MAX):
        pace.answered(in_time=True, data=False)  # SND_NKE
        pace.missed(float(n))  # REQ_UD2
    assert pace.patience == 1


def test_a_meter_that_was_late_once_costs_one_standard_window_when_it_falls_silent_much_later() -> None:
    meter = build_meter("heat", 1, clock=CLOCK)
    line = VirtualLine(Cable([meter], baudrate=9600))
    session = Session(line, baudrate=9600, mono=line.mono)
    session.read_user_data(1)
    meter.fault = Fault(FaultKind.LATE, times=1, delay_s=1.5)
    with pytest.raises(NoAnswer):
        session.read_user_data(1)
    line.sleep_until(line.mono() + 2)
    for _ in range(8):
        session.read_user_data(1)
    meter.fault = Fault(FaultKind.SILENT)
    assert window_of(session, 1) == "86 ms"
