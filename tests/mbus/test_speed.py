"""Talking at another speed than the bus' own, and coming back."""
from __future__ import annotations

import pytest

from mbusgw.mbus.session import Session
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import LinkError, NoAnswer, TransportLost, TransportOpenFailed
from mbusgw.simulator.catalogue import build_meter
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.line import TcpLine
from tests.mbus.test_session import ANSWER, PacedLine, session_on, window_of
from tests.simulator.memory import memory_segment
from tests.simulator.wire import CLOCK, running_segment

SLOW, QUICK = 9600, 38400


def test_meters_of_two_speeds_are_read_on_one_bus() -> None:
    meters = [build_meter("heat", 1, clock=CLOCK), build_meter("water", 2, clock=CLOCK, baudrate=SLOW)]
    with memory_segment(meters=meters, baudrate=QUICK) as segment, session_on(segment) as session:
        for _ in range(3):
            assert session.read_user_data(1).complete
            with session.at(SLOW):
                assert session.baudrate == SLOW
                assert session.read_user_data(2).complete
            assert session.baudrate == QUICK
        with session.at(SLOW):
            assert session.read_user_data(SecondaryAddress.of(meters[1].identity)).complete


def test_a_meter_does_not_hear_what_is_said_at_another_speed() -> None:
    meters = [build_meter("water", 2, clock=CLOCK, baudrate=SLOW)]
    with memory_segment(meters=meters, baudrate=QUICK) as segment, session_on(segment) as session:
        with pytest.raises(LinkError):
            session.read_user_data(2)
        with session.at(SLOW):
            assert session.read_user_data(2).complete


def test_what_is_heard_at_the_wrong_speed_is_never_taken() -> None:
    meters = [build_meter("heat", 1, clock=CLOCK)]
    with memory_segment(meters=meters, baudrate=QUICK) as segment, session_on(segment) as session:
        session.read_user_data(1)
        meters[0].fault = Fault(FaultKind.LATE, times=1, delay_s=0.15)  # comes when we listen at another speed
        with pytest.raises(NoAnswer):
            session.read_user_data(1)
        with session.at(SLOW), pytest.raises(LinkError):
            session.read_user_data(1)
        assert session.read_user_data(1, repeats=3).complete


def test_the_speed_comes_back_whatever_happens_inside() -> None:
    with memory_segment() as segment, session_on(segment) as session:
        with pytest.raises(ZeroDivisionError), session.at(SLOW):
            raise ZeroDivisionError
        with session.at(SLOW), session.at(300):
            assert session.baudrate == 300
        assert session.baudrate == segment.baudrate
        assert session.read_user_data(1).complete


def test_the_answer_window_is_that_of_the_speed() -> None:
    line = PacedLine()
    session = Session(line, baudrate=2400, mono=line.mono)
    assert window_of(session, 1) == "192 ms"
    with session.at(9600):
        assert window_of(session, 1) == "86 ms"
    assert window_of(session, 1) == "192 ms"
    assert line.baudrates == [9600, 2400]


def test_an_address_at_another_speed_is_another_meters() -> None:
    line = PacedLine([(0.02, b"\xE5")], [(0.02, ANSWER)], [(0.02, b"\xE5")], [(0.02, ANSWER)], [(0.02, ANSWER)])
    session = Session(line, baudrate=2400, mono=line.mono)
    session.read_user_data(1)
    with session.at(9600):
        session.read_user_data(1)
    session.read_user_data(1)
    assert [request[1] for request in line.written] == [0x40, 0x7B, 0x40, 0x7B, 0x5B]


def test_nothing_is_sent_before_the_last_request_has_left() -> None:
    line = PacedLine()
    session = Session(line, baudrate=300, mono=line.mono)
    began = line.now
    session._exchange._wire.send(b"\x10\x40\xFF\x3F\x16")  # nobody answers this, so nobody waits for it
    with session.at(9600):
        assert line.now >= began + 5 * 11 / 300


def test_the_speed_of_a_converter_behind_tcp_is_its_own() -> None:
    with running_segment(TcpLine()) as segment, session_on(segment) as session:
        with session.at(segment.baudrate):
            assert session.read_user_data(1).complete
        with pytest.raises(TransportOpenFailed, match=f"stays at {segment.baudrate} baud") as caught, session.at(2400):
            raise AssertionError("it has no other speed")
        assert "rfc2217" in caught.value.hint
        assert session.read_user_data(1).complete


def test_a_port_that_does_not_come_back_to_its_speed_counts_as_lost() -> None:
    class StuckLine(PacedLine):
        def set_baudrate(self, baudrate: int) -> None:
            if self.baudrates:
                raise TransportOpenFailed("it cannot")
            super().set_baudrate(baudrate)

    line = StuckLine()
    session = Session(line, baudrate=2400, mono=line.mono)
    with pytest.raises(TransportLost, match="does not go back to 2400 baud"), session.at(9600):
        pass
