"""What is counted of the talk on a line."""
from __future__ import annotations

import pytest

from mbusgw.mbus.session import Session
from mbusgw.mbus.tally import ADDRESSES_MAX, DELAYS_KEPT, Tallies
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import Collision, FrameDamaged, FrameUnexpected, LinkError, NoAnswer
from mbusgw.model.meter import MeterIdentity
from tests.mbus.test_session import ANSWER, PacedLine

BAUD = 9600
ACK = [(0.02, b"\xE5")]
GOOD = [(0.03, ANSWER)]


def talk(*script: list[tuple[float, bytes]], repeats: int = 0, reads: int = 1, echo: str = "auto") -> Tallies:
    tallies = Tallies()
    line = PacedLine(*script)
    session = Session(line, baudrate=BAUD, mono=line.mono, echo=echo, tallies=tallies)
    for _ in range(reads):
        try:
            session.read_user_data(1, repeats=repeats)
        except LinkError:
            pass
    return tallies


def test_requests_answers_and_how_long_they_took() -> None:
    tally = talk(ACK, GOOD, GOOD, reads=2).of(BAUD, 1)
    assert (tally.requests, tally.answers, tally.timeouts) == (3, 3, 0)
    assert len(tally.delays_s) == 3 and all(0 <= delay < 0.04 for delay in tally.delays_s)


@pytest.mark.parametrize(
    ("came", "counted", "error"),
    [
        ([], "timeouts", NoAnswer),
        ([(0.02, ANSWER[:-2] + b"\x00\x16")], "damaged", FrameDamaged),
        ([(0.02, ANSWER[:9])], "broken_off", FrameDamaged),
        ([(0.02, b"\x00\x01\x02")], "garbage", FrameDamaged),
        ([(0.02, b"\xE5")], "unexpected", FrameUnexpected),
    ],
)
def test_every_request_is_counted_by_what_became_of_it(
    came: list[tuple[float, bytes]], counted: str, error: type[LinkError]
) -> None:
    tally = talk(ACK, came).of(BAUD, 1)
    assert getattr(tally, counted) == 1
    assert (tally.requests, tally.answers) == (2, 1)
    both = talk(ACK, GOOD, came, GOOD, reads=2, repeats=1).of(BAUD, 1)
    assert both.repeats == (0 if error is NoAnswer else 1)


def test_a_late_answer_is_told_from_none_at_all() -> None:
    tallies = Tallies()
    line = PacedLine(ACK, [(0.5, ANSWER)])
    session = Session(line, baudrate=BAUD, mono=line.mono, tallies=tallies)
    with pytest.raises(NoAnswer):
        session.read_user_data(1)
    line.now += 0.45
    session.look()
    tally = tallies.of(BAUD, 1)
    assert (tally.timeouts, tally.late) == (1, 1) and tallies.stray_bytes == len(ANSWER)


def test_our_own_bytes_that_come_back_are_counted() -> None:
    nke, request = b"\x10\x40\x01\x41\x16", b"\x10\x7B\x01\x7C\x16"
    tallies = talk([(0.01, nke), (0.02, b"\xE5")], [(0.01, request), (0.03, ANSWER)])
    assert tallies.echoes == 2


def test_several_meters_that_answer_a_selection_are_a_collision() -> None:
    tallies = Tallies()
    line = PacedLine([(0.02, b"\xE5\xE5\xE5")])
    address = SecondaryAddress.of(MeterIdentity("12345678", "SIM", 1, 7))
    with pytest.raises(Collision):
        Session(line, baudrate=BAUD, mono=line.mono, tallies=tallies).read_user_data(address)
    assert tallies.of(BAUD, address).collisions == 1


def test_another_speed_is_counted_apart() -> None:
    tallies = Tallies()
    line = PacedLine(ACK, GOOD, ACK, GOOD)
    session = Session(line, baudrate=BAUD, mono=line.mono, tallies=tallies)
    session.read_user_data(1)
    with session.at(2400):
        session.read_user_data(1)
    assert tallies.of(BAUD, 1).requests == tallies.of(2400, 1).requests == 2


def test_a_scan_of_very_many_addresses_is_forgotten_and_those_who_answer_stay() -> None:
    tallies = Tallies()
    tallies.of(BAUD, 5).answers = 1
    for n in range(3 * ADDRESSES_MAX):
        tallies.of(BAUD, SecondaryAddress(id=f"{n:08d}")).requests += 1
    assert len(tallies.meters) <= ADDRESSES_MAX
    assert tallies.counts["requests"] == 3 * ADDRESSES_MAX
    assert tallies.of(BAUD, 5).answers == 1


def test_only_the_newest_delays_are_kept() -> None:
    tally = talk(ACK, *[GOOD] * (DELAYS_KEPT + 5), reads=DELAYS_KEPT + 5).of(BAUD, 1)
    assert len(tally.delays_s) == DELAYS_KEPT
