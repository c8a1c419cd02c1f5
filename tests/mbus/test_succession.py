"""Readouts that a telegram is missing from are begun anew, and meters with ways of their own are read all the same."""
from __future__ import annotations

import pytest

from mbusgw.mbus.answer import Answer
from mbusgw.mbus.frames import LongFrame, ShortFrame, encode, parse
from mbusgw.mbus.link import Ways
from mbusgw.mbus.session import Session
from mbusgw.mbus.succession import COUNTS_MIN, DOUBTS_MAX, Succession
from mbusgw.mbus.tally import ADDRESSES_MAX, Tallies, Tally
from mbusgw.model.errors import FrameDamaged, FrameUnexpected
from mbusgw.simulator.catalogue import build_meter
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.meter import SimulatedMeter
from tests.mbus.test_session import FIRST, NKE, SECOND, ScriptedLine, scripted, session_on
from tests.simulator.memory import memory_segment
from tests.simulator.wire import CLOCK, FAST

VOLUME, ENERGY, POWER = "0413", "0403", "042B"
BUSY = encode(LongFrame(0x08, 1, 0x70, b"\x08"))


def telegram(access_no: int, what: str = VOLUME, *, more: bool = False, value: int = 0) -> bytes:
    header = bytes.fromhex("785634124C480107") + bytes((access_no, 0, 0, 0))
    records = bytes.fromhex(what) + value.to_bytes(4, "little") + (b"\x1F" if more else b"")
    return encode(LongFrame(0x08, 1, 0x72, header + records))


def readout(*access_numbers: int) -> tuple[bytes, ...]:
    kinds = (VOLUME, ENERGY, POWER)
    last = len(access_numbers) - 1
    return tuple(telegram(no, kinds[n % 3], more=n < last) for n, no in enumerate(access_numbers))


def damaged(raw: bytes) -> bytes:
    return raw[:-2] + bytes((raw[-2] ^ 1,)) + raw[-1:]


def three_telegrams(kind: FaultKind) -> SimulatedMeter:
    meter = build_meter("electricity", 1, clock=CLOCK, telegrams=3)
    meter.faults = (Fault(kind),)
    return meter


# ------------------------------------------------------------------ a telegram is missing
def test_a_meter_that_goes_on_where_it_should_repeat_itself_loses_no_telegram() -> None:
    meter = three_telegrams(FaultKind.IGNORES_FCB)
    with memory_segment(meters=[meter]) as segment, session_on(segment) as session:
        session.read_user_data(1)
        habits = meter.faults
        meter.faults = (Fault(FaultKind.CHECKSUM, times=1), *habits)
        answer = session.read_user_data(1, repeats=3)
    assert answer.complete and len(answer.frames) == 3
    assert len({raw[15] for raw in answer.frames}) == 3, "each with an access number of its own"


def test_a_late_first_telegram_is_not_mixed_with_the_rest_of_the_next_readout() -> None:
    late, new, again = readout(1, 2, 3), readout(4, 5, 6), readout(7, 8, 9)
    line, session = scripted(b"\xE5", late[0], new[1], new[2], b"\xE5", *again)
    assert session.read_user_data(1) == Answer(again)
    assert [request[1] for request in line.written] == [NKE, FIRST, SECOND, FIRST, NKE, FIRST, SECOND, FIRST]


def test_a_readout_that_begins_with_its_second_telegram_is_no_whole_one() -> None:
    whole, rest, again = readout(1, 2, 3), readout(3, 4, 5)[1:], readout(6, 7, 8)
    _, session = scripted(b"\xE5", *whole, *rest, b"\xE5", *again)
    assert session.read_user_data(1) == Answer(whole)
    assert session.read_user_data(1) == Answer(again)


def test_a_meter_without_access_numbers_misses_no_telegram_in_the_middle_either() -> None:
    whole = readout(0, 0, 0)
    _, session = scripted(b"\xE5", *whole, whole[0], whole[2], b"\xE5", *whole)
    for _ in range(2):
        assert session.read_user_data(1) == Answer(whole)


def test_where_telegrams_are_missing_each_time_the_read_fails_and_says_so() -> None:
    numbers = iter(range(1, 200, 2))
    tries = []
    for _ in range(DOUBTS_MAX):
        first, _, second = readout(next(numbers), 0, next(numbers))
        tries += [b"\xE5", first, damaged(second), second]
    line, session = scripted(*tries)
    with pytest.raises(FrameUnexpected, match="address 1 seem to be missing: .* went on by 2"):
        session.read_user_data(1, repeats=1)
    assert not line.script, "three readouts, then no more"


def test_after_an_application_error_in_a_doubtful_readout_the_next_telegram_is_not_taken_for_the_first() -> None:
    """Nobody acknowledged SND_NKE, so the meter is somewhere in its readout, and says twice that it is busy."""
    line, session = scripted(b"\x00\xE5", readout(1, 2)[0], BUSY, b"\xE5", *readout(5, 6))
    assert session.read_user_data(1).frames == (BUSY,)
    assert session.read_user_data(1) == Answer(readout(5, 6))
    assert [request[1] for request in line.written] == [NKE, FIRST, SECOND, NKE, FIRST, SECOND]


def test_a_selected_meter_that_another_one_acknowledges_for_does_not_lose_its_first_telegram() -> None:
    """It ignores SND_NKE, one that stays selected confirms it: the meter asked goes on with its second telegram."""
    deaf = three_telegrams(FaultKind.NO_RESET)
    other = build_meter("heat", 2, clock=CLOCK)
    with memory_segment(meters=[deaf, other]) as segment, session_on(segment) as session:
        whole = session.read_user_data(deaf.secondary_address, repeats=3)
        assert whole.complete and len(whole.frames) == 3
        deaf.faults = (Fault(FaultKind.CHECKSUM, times=1), *deaf.faults)
        other.faults = (Fault(FaultKind.STAYS_SELECTED),)
        other._selected = True
        frames = session.read_user_data(deaf.secondary_address, repeats=3).frames
        assert len(frames) == 3


def test_a_first_readout_that_was_disturbed_is_begun_anew_since_nobody_knows_what_it_should_be() -> None:
    meter = three_telegrams(FaultKind.IGNORES_FCB)
    meter.faults = (Fault(FaultKind.CHECKSUM, times=1), *meter.faults)
    with memory_segment(meters=[meter]) as segment, session_on(segment) as session:
        assert len(session.read_user_data(1, repeats=3).frames) == 3


def test_that_a_readout_was_disturbed_is_known_also_where_more_meters_answer_than_are_counted() -> None:
    counted = Tallies(meters={(300, number): Tally(answers=1) for number in range(ADDRESSES_MAX)})
    meter = three_telegrams(FaultKind.IGNORES_FCB)
    meter.faults = (Fault(FaultKind.CHECKSUM, times=1), *meter.faults)
    with memory_segment(meters=[meter]) as segment, session_on(segment, tallies=counted) as session:
        assert len(session.read_user_data(1, repeats=3).frames) == 3


def test_one_that_is_disturbed_each_time_is_read_all_the_same() -> None:
    ways = Succession()
    heard = [bool(ways.gap(readout(n), complete=True, disturbed=True)) for n in range(1, 5)]
    assert heard == [True, True, False, False]


def test_what_a_meter_says_is_known_when_the_port_is_opened_anew() -> None:
    ways: Ways = {}
    whole, rest, again = readout(1, 2, 3), readout(3, 4, 5)[1:], readout(6, 7, 8)
    for script, expected in ((whole, whole), ((*rest, b"\xE5", *again), again)):
        line = ScriptedLine(b"\xE5", *script)
        session = Session(line, baudrate=FAST, mono=line.mono, ways=ways)
        assert session.read_user_data(1) == Answer(expected)


def test_a_telegram_that_was_there_once_only_does_not_hide_that_others_are_missing() -> None:
    """What the wire makes up where several send at once may look like a telegram of the meter."""
    ways = Succession()
    made_up = (*readout(4, 5, 6)[:2], telegram(6, "0259"))
    assert [ways.gap(one, complete=True, disturbed=False) for one in (readout(1, 2, 3), made_up)] == ["", ""]
    assert ways.gap(readout(6, 6, 6)[2:], complete=True, disturbed=False)


# ------------------------------------------------------------------ ways of their own
ANY_NUMBERS = [(3, 9, 200), (17, 4, 90), (250, 30, 31), (8, 80, 60), (9, 5, 1)]


@pytest.mark.parametrize("numbers", [ANY_NUMBERS, [(2, 4, 6)] * 5], ids=["any", "by two"])
def test_a_meter_whose_access_numbers_do_not_count_by_one_is_doubted_once_and_then_believed(
    numbers: list[tuple[int, int, int]]
) -> None:
    ways = Succession()
    heard = [bool(ways.gap(readout(*one), complete=True, disturbed=False)) for one in numbers]
    assert heard == [True, True, False, False, False]


def test_in_disturbed_readouts_no_way_of_a_meter_is_learned() -> None:
    ways = Succession()
    assert all(ways.gap(readout(1, 3, 4), complete=True, disturbed=True) for _ in range(9))


@pytest.mark.parametrize("numbers", [(7, 7, 7), (254, 255, 0)])
def test_access_numbers_that_stand_still_or_begin_again_are_no_gap(numbers: tuple[int, int, int]) -> None:
    assert Succession().gap(readout(*numbers), complete=True, disturbed=False) == ""


def test_a_meter_that_has_less_to_say_from_now_on_is_believed_after_it_was_asked_anew() -> None:
    ways = Succession()
    assert ways.gap(readout(1, 2, 3), complete=True, disturbed=False) == ""
    short = [bool(ways.gap(readout(n, n + 1), complete=True, disturbed=False)) for n in range(4, 20, 2)]
    assert short == [True, True, *[False] * 6]
    assert ways.gap(readout(30, 31, 32), complete=True, disturbed=False) == "", "and more again is no gap"


def test_pages_of_a_history_may_become_fewer() -> None:
    def pages(*numbers: int) -> list[bytes]:
        return [telegram(no, more=no != numbers[-1]) for no in numbers]

    ways = Succession()
    assert ways.gap(pages(1, 2, 3), complete=True, disturbed=False) == ""
    assert ways.gap(pages(4, 5), complete=True, disturbed=False) == ""


def test_what_says_itself_that_it_is_incomplete_is_not_asked_for_again() -> None:
    ways = Succession()
    assert ways.gap(readout(1, 2, 3), complete=True, disturbed=False) == ""
    assert ways.gap(readout(4, 5, 6)[:2], complete=False, disturbed=False) == ""
    assert ways.gap([BUSY], complete=True, disturbed=False) == ""


def test_a_damaged_telegram_that_the_meter_repeats_costs_one_request_and_no_new_readout() -> None:
    meter = build_meter("electricity", 1, clock=CLOCK, telegrams=3)
    with memory_segment(meters=[meter]) as segment, session_on(segment) as session:
        session.read_user_data(1)
        meter.fault = Fault(FaultKind.CHECKSUM, times=1)
        with pytest.raises(FrameDamaged):
            session.read_user_data(1)
        meter.fault = Fault(FaultKind.CHECKSUM, times=1)
        before = len(segment.requests)
        assert len(session.read_user_data(1, repeats=1).frames) == 3
        asked = [parse(request) for _, request in list(segment.requests)[before:]]
    assert len([one for one in asked if isinstance(one, ShortFrame) and one.control != NKE]) == 4


# ------------------------------------------------------------------ an access number that is not later
def counting(*access_numbers: int) -> Succession:
    """What is known of a meter that has counted well until now."""
    succession = Succession()
    for number in (*range(100, 101 + COUNTS_MIN), *access_numbers):
        assert judged(succession, number) == ""
    return succession


def judged(succession: Succession, access_no: int, value: int | None = None) -> str:
    raw = telegram(access_no, value=access_no if value is None else value)
    return succession.gap((raw,), complete=True, disturbed=False)


@pytest.mark.parametrize("number", [108, 104, 0])
def test_a_telegram_that_is_new_and_not_later_is_doubted(number: int) -> None:
    succession = counting()
    assert "not later" in judged(succession, number, value=1)
    assert judged(succession, 110) == "", "the next one was the meter's own"
    assert judged(succession, 111) == ""


def test_a_meter_that_begins_to_count_anew_costs_one_more_readout() -> None:
    succession = counting()
    assert "not later" in judged(succession, 1)
    assert judged(succession, 2) == ""
    assert judged(succession, 3) == ""


@pytest.mark.parametrize("numbers", [[42] * 30, [1, 2, 3] * 10, [200, 60] * 15])
def test_one_that_does_not_count_is_not_doubted_for_it(numbers: list[int]) -> None:
    succession = Succession()
    assert [judged(succession, number, value=n) for n, number in enumerate(numbers)] == [""] * len(numbers)


def test_one_that_says_the_same_once_more_is_not_doubted_for_its_number() -> None:
    assert judged(counting(), 100 + COUNTS_MIN) == ""


def test_others_may_have_asked_it_too() -> None:
    succession = counting(150, 200, 60)
    assert judged(succession, 61) == ""
    assert "not later" in judged(succession, 60, value=9)
