"""Meters that live at another speed than their bus, and meters that are told to."""
from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from mbusgw.mbus.answer import Answer
from mbusgw.mbus.frames import CI_BAUDRATE
from mbusgw.mbus.session import Session
from mbusgw.model.errors import NoAnswer
from mbusgw.simulator.catalogue import build_meter
from mbusgw.simulator.meter import SPEED_KEPT_S, SimulatedMeter
from mbusgw.wired.bus import Bus
from mbusgw.wired.speed import REFUSED_S, MeterSpeed
from tests.fakes.clock import FakeClock
from tests.mbus.test_speed import QUICK, SLOW, session_on
from tests.simulator.memory import SkippingClock, memory_segment
from tests.simulator.wire import CLOCK
from tests.wait import wait_until
from tests.wired.house import Lane, bus_config, running


class AgingMeter(SimulatedMeter):
    """A water meter whose clock a test turns."""

    def __init__(self, *speeds: int, baudrate: int | None = None) -> None:
        self.age_s = 0.0
        model = build_meter("water", 1, clock=CLOCK)
        super().__init__(
            model.identity, 1, model.channels, seconds=lambda: self.age_s, speeds=speeds, baudrate=baudrate
        )


def reader(session: Session) -> Callable[[bool], Answer]:
    return lambda reset: session.read_user_data(1, repeats=1, reset=reset)


def test_a_meter_is_told_to_change_its_speed_and_told_again_when_it_went_back() -> None:
    meter = AgingMeter(QUICK)
    with memory_segment(meters=[meter], baudrate=SLOW) as segment, session_on(segment) as session:
        speed = MeterSpeed("water", QUICK, switch=True, clock=CLOCK)
        for _ in range(3):
            assert speed.read(session, 1, reader(session), reset=False).complete
            assert speed.used == QUICK
        told = [request for _, request in segment.requests if request[6:7] == bytes((CI_BAUDRATE[QUICK],))]
        assert len(told) == 1
        meter.age_s += SPEED_KEPT_S + 1
        assert speed.read(session, 1, reader(session), reset=False).complete
        assert speed.used == QUICK and session.baudrate == SLOW


def test_a_meter_that_is_at_the_new_speed_already_is_read_there() -> None:
    with memory_segment(meters=[AgingMeter(baudrate=QUICK)], baudrate=SLOW) as segment, session_on(segment) as session:
        speed = MeterSpeed("water", QUICK, switch=True, clock=CLOCK)
        assert speed.read(session, 1, reader(session), reset=False).complete and speed.used == QUICK


def test_a_meter_that_does_not_follow_is_read_at_the_speed_of_the_bus_and_left_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    with memory_segment(meters=[AgingMeter()], baudrate=SLOW) as segment, session_on(segment) as session:
        speed = MeterSpeed("water", QUICK, switch=True, clock=clock)
        assert speed.read(session, 1, reader(session), reset=False).complete
        assert speed.used == SLOW
        asked = len(segment.requests)
        assert speed.read(session, 1, reader(session), reset=False).complete
        wait_until(lambda: len(segment.requests) == asked + 1)
        clock.advance(REFUSED_S + 1)
        assert speed.read(session, 1, reader(session), reset=False).complete
        assert len(segment.requests) > asked + 2
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in said] == [f"water does not follow to {QUICK} baud and is read at {SLOW}"]


def test_a_meter_that_is_away_is_not_taken_for_one_that_does_not_follow() -> None:
    with memory_segment(meters=0, baudrate=SLOW) as segment, session_on(segment) as session:
        speed = MeterSpeed("water", QUICK, switch=True, clock=CLOCK)
        with pytest.raises(NoAnswer):
            speed.read(session, 1, reader(session), reset=False)
        assert speed.used is None and session.baudrate == SLOW


def test_meters_of_several_speeds_share_a_bus_and_none_loses_by_it() -> None:
    meters = [build_meter("heat", 1, clock=CLOCK), build_meter("water", 2, clock=CLOCK, baudrate=SLOW)]
    with memory_segment(meters, clock=SkippingClock(), baudrate=QUICK) as segment:
        bus = Bus(
            bus_config(segment.port, baudrate=QUICK), clock=segment.clock, open_port=segment.open_port
        )
        lane = Lane(bus, {"usual": 1}, interval=0.2)
        slow = Lane(bus, {"slow": 2}, interval=0.2, baudrate=SLOW)
        with running(*lane.workers(), *slow.meters.values()):
            wait_until(lambda: lane.has_read("usual", 4)() and slow.has_read("slow", 4)())
            assert slow.meters["slow"].snapshot().baudrate == SLOW
            assert lane.meters["usual"].snapshot().baudrate == QUICK
        assert not lane.failures.told and not slow.failures.told
