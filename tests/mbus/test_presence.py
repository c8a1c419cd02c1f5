"""Who is at an address, on a simulated segment."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mbusgw.mbus.presence import exact_address, nobody_answers, who_answers
from mbusgw.mbus.session import Session
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import Collision, FrameUnexpected, NoAnswer
from mbusgw.simulator.catalogue import build_meter
from mbusgw.simulator.meter import Fault, FaultKind, SimulatedMeter
from tests.simulator.memory import memory_segment
from tests.simulator.wire import CLOCK


@contextmanager
def session_with(*meters: SimulatedMeter) -> Iterator[Session]:
    with memory_segment(meters) as segment:
        yield Session(segment.open_port(), baudrate=segment.baudrate, mono=segment.clock.mono)


def heat(address: int, number: int = 0) -> SimulatedMeter:
    meter = build_meter("heat", address, clock=CLOCK)
    if number:
        meter.identity = type(meter.identity)(f"{number:08d}", "SIM", 40, 4)
    return meter


def test_a_meter_says_who_and_where_it_is() -> None:
    meter = heat(5)
    with session_with(meter, heat(6, 87654321)) as session:
        assert who_answers(session, 5).identity == meter.identity
        by_name = who_answers(session, meter.secondary_address)
    assert by_name.identity == meter.identity and by_name.primary == 5


def test_a_meter_that_misses_one_request_is_there() -> None:
    meter = heat(5)
    meter.fault = Fault(FaultKind.SILENT, times=1)
    with session_with(meter) as session:
        assert who_answers(session, 5).primary == 5
        meter.fault = Fault(FaultKind.CHECKSUM, times=1)
        assert who_answers(session, 5).primary == 5


def test_a_meter_that_ignores_initialisation_is_there() -> None:
    meter = heat(5)
    meter.fault = Fault(FaultKind.NO_RESET)
    with session_with(meter) as session:
        assert who_answers(session, 5).primary == 5
    with session_with(meter) as session:
        assert not nobody_answers(session, 5)


def test_a_long_readout_is_not_waited_for() -> None:
    with session_with(build_meter("electricity", 5, clock=CLOCK, telegrams=4)) as session:
        assert who_answers(session, 5).primary == 5
        assert len(session.read_user_data(5).frames) == 4


def test_two_meters_at_one_address_are_no_one() -> None:
    with session_with(heat(5), heat(5, 87654321)) as session:
        with pytest.raises(Collision, match="more than one meter seems to be at 5") as caught:
            who_answers(session, 5)
        assert "secondary address" in caught.value.hint
        assert not nobody_answers(session, 5)


def test_silence_is_nobody() -> None:
    with session_with(heat(5)) as session:
        assert nobody_answers(session, 6) and not nobody_answers(session, 5)
        with pytest.raises(NoAnswer):
            who_answers(session, 6)


def test_whoever_sounds_strange_is_somebody() -> None:
    meter = heat(5)
    meter.fault = Fault(FaultKind.CHECKSUM)
    with session_with(meter) as session:
        assert not nobody_answers(session, 5)


def test_a_meter_that_does_not_say_who_it_is_cannot_be_told_from_others() -> None:
    meter = heat(5)
    meter.fault = Fault(FaultKind.APPLICATION_ERROR)
    with session_with(meter) as session, pytest.raises(FrameUnexpected, match="does not say which one"):
        who_answers(session, 5)


def test_open_places_are_filled_in_with_who_answered() -> None:
    meter = heat(5)
    with session_with(meter) as session:
        there = who_answers(session, SecondaryAddress(id=meter.identity.id))
    assert exact_address(there, SecondaryAddress(id=meter.identity.id)) == meter.secondary_address
    assert exact_address(there, 5) == 5
