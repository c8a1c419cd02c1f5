"""How late a port passes bytes on: guessed at first, found out from what comes, each speed for itself."""
from __future__ import annotations

from math import floor

import pytest

from mbusgw.mbus.promptness import PASSING_S
from mbusgw.mbus.session import Session
from mbusgw.model.errors import NoAnswer
from mbusgw.simulator.cable import Cable
from mbusgw.simulator.catalogue import build_meter, build_meters
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.virtual import VirtualLine
from mbusgw.transports.latency import UNKNOWN_SLACK_S
from tests.simulator.wire import CLOCK

BAUDRATE = 2400
BYTE_S = 11 / BAUDRATE
NOBODY = 200


class CollectingLine(VirtualLine):
    """An adapter that hands over what has come every ``period_s``, and whose driver does not say so."""

    def __init__(self, cable: Cable, period_s: float) -> None:
        super().__init__(cable, slack_s=UNKNOWN_SLACK_S, slack_guessed=True)
        self._period_s = period_s

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        until_mono = self.now_mono + max(0.0, timeout_s)
        self._collect()
        while not self._waiting and (next_mono := self._handed_over_mono(1)) <= until_mono:
            self.now_mono = next_mono
            self._collect()
        if not self._waiting:
            self.now_mono = until_mono
        some = bytes(self._waiting[:max_bytes])
        del self._waiting[:max_bytes]
        return some

    def purge(self) -> bytes:
        self._collect()
        dropped = bytes(self._waiting)
        self._waiting.clear()
        return dropped

    def _collect(self) -> None:
        self._waiting += self.cable.ripe(self._handed_over_mono(0))

    def _handed_over_mono(self, times_more: int) -> float:
        return (floor(self.now_mono / self._period_s + 1e-6) + times_more) * self._period_s


def session_on(line: VirtualLine) -> Session:
    return Session(line, baudrate=BAUDRATE, mono=line.mono)


def slack_taken(line: VirtualLine, session: Session, baudrate: int = BAUDRATE) -> float:
    """What a silent address costs beyond request, window and the first byte of an answer that is late."""
    session.rest()
    began_mono = line.mono()
    session.knock(NOBODY)
    return line.mono() - began_mono - (55 + 330 + 11) / baudrate - 0.050


def test_a_port_of_which_nothing_is_known_is_found_out_by_one_answer() -> None:
    line = VirtualLine(Cable(build_meters(1, clock=CLOCK), baudrate=BAUDRATE), slack_s=0.020, slack_guessed=True)
    session = session_on(line)
    assert slack_taken(line, session) == pytest.approx(UNKNOWN_SLACK_S, abs=1e-6)
    session.read_user_data(1)
    assert slack_taken(line, session) == pytest.approx(1.5 * BYTE_S + PASSING_S, abs=1e-6)


def test_what_a_search_hears_tells_it_too() -> None:
    line = VirtualLine(Cable(build_meters(1, clock=CLOCK), baudrate=BAUDRATE), slack_s=0.020, slack_guessed=True)
    session = session_on(line)
    session.knock(1)
    assert slack_taken(line, session) < 0.5 * UNKNOWN_SLACK_S + 1e-3


@pytest.mark.parametrize("period_s", [0.008, 0.010, 0.0145, 0.016, 0.020])
def test_one_that_collects_bytes_is_never_taken_for_a_prompt_one(period_s: float) -> None:
    meters = build_meters(2, clock=CLOCK)
    meters[1].fault = Fault(FaultKind.SLOWEST)
    line = CollectingLine(Cable(meters, baudrate=BAUDRATE), period_s)
    session = session_on(line)
    for _ in range(10):
        assert session.read_user_data(1).complete
        assert session.read_user_data(2).complete, "it begins at the end of its window"
    assert slack_taken(line, session) == pytest.approx(UNKNOWN_SLACK_S, abs=1e-6)


@pytest.mark.parametrize("slack_s", [0.004, 0.150])
def test_what_the_port_itself_says_is_not_questioned(slack_s: float) -> None:
    line = VirtualLine(Cable(build_meters(1, clock=CLOCK), baudrate=BAUDRATE), slack_s=slack_s)
    session = session_on(line)
    session.read_user_data(1)
    assert slack_taken(line, session) == pytest.approx(slack_s, abs=1e-6)


def test_a_guess_never_grows() -> None:
    line = VirtualLine(Cable(build_meters(1, clock=CLOCK), baudrate=300), slack_s=0.020, slack_guessed=True)
    session = Session(line, baudrate=300, mono=line.mono)
    session.read_user_data(1)
    assert slack_taken(line, session, 300) == pytest.approx(0.020, abs=1e-6)


def test_each_speed_is_found_out_for_itself() -> None:
    meters = [build_meter("heat", 1, clock=CLOCK), build_meter("heat", 2, clock=CLOCK, baudrate=9600)]
    line = VirtualLine(
        Cable(meters, baudrate=BAUDRATE), baudrate=BAUDRATE, slack_s=UNKNOWN_SLACK_S, slack_guessed=True
    )
    session = session_on(line)
    session.read_user_data(1)
    with session.at(9600):
        assert slack_taken(line, session, 9600) == pytest.approx(UNKNOWN_SLACK_S, abs=1e-6)
        session.read_user_data(2)
        assert slack_taken(line, session, 9600) == pytest.approx(1.5 * 11 / 9600 + PASSING_S, abs=1e-6)
    assert slack_taken(line, session) == pytest.approx(1.5 * BYTE_S + PASSING_S, abs=1e-6)


def test_a_silent_meter_costs_less_as_soon_as_that_is_known() -> None:
    line = VirtualLine(Cable(build_meters(1, clock=CLOCK), baudrate=BAUDRATE), slack_s=0.020, slack_guessed=True)
    session = session_on(line)
    with pytest.raises(NoAnswer, match="212 ms"):
        session.read_user_data(NOBODY)
    session.read_user_data(1)
    with pytest.raises(NoAnswer, match="202 ms"):
        session.read_user_data(NOBODY)
