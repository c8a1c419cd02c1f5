"""Meters called by their secondary address: simulated ones, and over a line that plays a list."""
from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.mbus.answer import parse_long
from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.frames import LongFrame, ShortFrame, encode, parse
from mbusgw.mbus.session import Session
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import BusError, Collision, FrameDamaged, FrameUnexpected, LinkError, NoAnswer
from mbusgw.model.meter import MeterIdentity
from mbusgw.simulator.catalogue import build_meter
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.line import TcpLine
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.simulator.segment import Segment
from mbusgw.transports.latency import UNKNOWN_SLACK_S
from tests.mbus.test_session import PacedLine, ScriptedLine, session_on
from tests.simulator.memory import memory_segment
from tests.simulator.wire import CLOCK, FAST, running_segment

SELECT, NKE, FIRST, SECOND = "select", 0x40, 0x7B, 0x5B
FRESH = [SELECT, NKE, SELECT, FIRST]
EXACT = SecondaryAddress.parse("1234567824401007")


def spoken(segment: Segment) -> list[object]:
    """What was sent to address 253, selections by that word."""
    frames = [parse(request) for _, request in segment.requests]
    return [
        SELECT if isinstance(frame, LongFrame) else frame.control
        for frame in frames
        if isinstance(frame, (LongFrame, ShortFrame)) and frame.address == 253
    ]


def twins(first: str = "12345678", second: str = "12345679") -> list[SimulatedMeter]:
    """Two meters of one make, version and medium."""
    built = [build_meter("heat", 1, clock=CLOCK), build_meter("heat", 2, clock=CLOCK)]
    for meter, number in zip(built, (first, second), strict=True):
        meter.identity = replace(meter.identity, id=number)
    return built


def who(raw: bytes) -> MeterIdentity | None:
    return decode_frame(raw).header.meter


# ------------------------------------------------------------------ the right way
def test_a_meter_is_reset_once_and_then_selected_before_each_readout_with_a_fresh_fcb() -> None:
    with memory_segment() as segment, session_on(segment) as session:
        address = segment.meters[1].secondary_address
        answers = [session.read_user_data(address) for _ in range(3)]
        assert spoken(segment) == [*FRESH, SELECT, FIRST, SELECT, FIRST]
        selection = segment.requests[0][1]
    assert selection == bytes.fromhex("680B0B6853FD52") + address.wire + selection[-2:]
    assert all(who(answer.frames[0]) == segment.meters[1].identity for answer in answers)
    assert len({answer.frames[0] for answer in answers}) == 3, "each answer is a new one"


@pytest.mark.slow
def test_all_meters_of_a_bus_are_read_one_after_the_other_beside_primary_addresses() -> None:
    with running_segment(TcpLine(), meters=5) as segment, session_on(segment) as session:
        for _ in range(2):
            for meter in segment.meters:
                assert who(session.read_user_data(meter.secondary_address).frames[0]) == meter.identity
                assert who(session.read_user_data(meter.address).frames[0]) == meter.identity


@pytest.mark.parametrize(
    "mask", ["6FFFFFFFFFFFFFFF", "60000001FFFFFFFF", "FFFFFFFFFFFFFF04", "FFFFFFFFFFFF28FF", "FFFFFFF1FFFFFFFF"]
)
def test_open_places_of_an_address_fit_any_meter(mask: str) -> None:
    with memory_segment() as segment, session_on(segment) as session:
        answer = session.read_user_data(SecondaryAddress.parse(mask))
    assert who(answer.frames[0]) == segment.meters[0].identity


def test_telegrams_of_a_selected_meter_are_read_until_no_more_records_follow() -> None:
    meter = build_meter("electricity", 1, clock=CLOCK, telegrams=3)
    with memory_segment(meters=[meter]) as segment, session_on(segment) as session:
        answers = [session.read_user_data(meter.secondary_address) for _ in range(2)]
        assert spoken(segment) == [*FRESH, SECOND, FIRST, SELECT, FIRST, SECOND, FIRST]
    assert all(answer.complete and len(answer.frames) == 3 for answer in answers)


def test_a_readout_that_broke_off_begins_anew_with_a_reset() -> None:
    meter = build_meter("electricity", 1, clock=CLOCK, telegrams=3)
    with memory_segment(meters=[meter]) as segment, session_on(segment) as session:
        whole = session.read_user_data(meter.secondary_address)
        assert not session.read_user_data(meter.secondary_address, max_telegrams=2).complete
        again = session.read_user_data(meter.secondary_address)
        assert spoken(segment)[-6:] == [*FRESH, SECOND, FIRST]
    first = [[r.quantity for r in decode_frame(answer.frames[0]).records] for answer in (whole, again)]
    assert first[0] == first[1] and len(again.frames) == 3


def test_a_selected_meter_costs_the_selection_and_nothing_else() -> None:
    with memory_segment(baudrate=9600) as segment, session_on(segment) as session:
        address = segment.meters[0].secondary_address
        session.read_user_data(address)
        started_mono = segment.clock.mono()
        raw = session.read_user_data(address).frames[0]
        took_s = segment.clock.mono() - started_mono
    limit_s = (2 * 33 + (17 + 1 + 5 + len(raw)) * 11) / 9600 + 2 * segment.answer_delay_s
    assert took_s == pytest.approx(limit_s, abs=0.0002)


# ------------------------------------------------------------------ what goes wrong
def test_an_absent_meter_costs_one_answer_window_and_is_named_by_its_address() -> None:
    with memory_segment(baudrate=2400) as segment, session_on(segment) as session:
        session.rest()
        started_mono = segment.clock.mono()
        with pytest.raises(NoAnswer, match="no answer from address 1234567824401007") as caught:
            session.read_user_data(EXACT, repeats=3)
        took_s = segment.clock.mono() - started_mono
    assert len(segment.requests) == 1
    assert took_s == pytest.approx((330 + 11 + 17 * 11) / 2400 + 0.05 + UNKNOWN_SLACK_S, abs=0.0001)
    assert "secondary address" in caught.value.hint


@pytest.mark.parametrize("shift_s", [0.0, 0.0001, 0.0007])
def test_two_meters_that_fit_are_a_collision_however_their_answers_meet(shift_s: float) -> None:
    with memory_segment(meters=twins()) as segment, session_on(segment) as session:
        segment.meters[1].fault = Fault(FaultKind.LATE, delay_s=shift_s)
        with pytest.raises(Collision, match="several meters seem to answer to 1234567F") as caught:
            session.read_user_data(SecondaryAddress(id="1234567F"), repeats=1)
        assert "write more of the address" in caught.value.hint
        segment.meters[1].fault = None
        for meter in segment.meters:
            assert who(session.read_user_data(meter.secondary_address).frames[0]) == meter.identity


def test_two_meters_that_answer_one_after_the_other_are_a_collision_too() -> None:
    with memory_segment(meters=twins()) as segment, session_on(segment) as session:
        segment.meters[1].fault = Fault(FaultKind.LATE, delay_s=0.0005)
        with pytest.raises(Collision, match="after the acknowledgement came e5"):
            session.read_user_data(SecondaryAddress(id="1234567F"))


def test_meters_that_differ_in_make_version_or_medium_only_are_told_apart() -> None:
    meters = [build_meter("heat", n + 1, clock=CLOCK) for n in range(4)]
    ways = ({}, {"manufacturer": "KAM"}, {"version": 9}, {"medium": 7})
    for meter, way in zip(meters, ways, strict=True):
        meter.identity = replace(meter.identity, **way)  # type: ignore[arg-type]
    with memory_segment(meters=meters) as segment, session_on(segment) as session:
        for meter in meters:
            assert who(session.read_user_data(meter.secondary_address).frames[0]) == meter.identity
        assert len(segment.requests) == 4 * len(FRESH)


def test_an_answer_with_the_id_of_another_meter_is_not_taken() -> None:
    with memory_segment() as segment, session_on(segment) as session:
        address = segment.meters[0].secondary_address
        session.read_user_data(address)
        segment.meters[0].fault = Fault(FaultKind.WRONG_ID)
        with pytest.raises(FrameUnexpected, match=f"60000002{str(address)[8:]} answered, {address} was asked"):
            session.read_user_data(address, repeats=1)
        segment.meters[0].fault = None
        assert session.read_user_data(address).complete


def test_a_meter_that_stays_selected_does_not_keep_another_from_being_read() -> None:
    with memory_segment(meters=twins()) as segment, session_on(segment) as session:
        segment.meters[0].fault = Fault(FaultKind.STAYS_SELECTED)
        for _ in range(2):
            for meter in segment.meters:
                answer = session.read_user_data(meter.secondary_address, repeats=3)
                assert who(answer.frames[0]) == meter.identity


def test_a_meter_that_keeps_its_fcb_over_a_selection_never_gives_an_old_telegram() -> None:
    with memory_segment() as segment, session_on(segment) as session:
        meter = segment.meters[0]
        meter.fault = Fault(FaultKind.KEEPS_FCB)
        raws = [session.read_user_data(meter.secondary_address).frames[0] for _ in range(6)]
    assert len(set(raws)) == 6
    assert len(meter.answers) == 6, "and none is lost"


@pytest.mark.parametrize("kind", [FaultKind.WRONG_ADDRESS, FaultKind.FLAGS])
def test_an_old_telegram_is_known_by_what_it_says_however_it_was_addressed(kind: FaultKind) -> None:
    with memory_segment() as segment, session_on(segment) as session:
        meter = segment.meters[0]
        meter.faults = (Fault(FaultKind.KEEPS_FCB), Fault(kind, times=1))
        first = session.read_user_data(meter.secondary_address).frames[0]
        second = session.read_user_data(meter.secondary_address).frames[0]
    assert first[6:-2] != second[6:-2] and len(meter.answers) == 2


def test_the_first_of_several_telegrams_is_kept_though_it_says_what_it_said_before() -> None:
    meter = build_meter("heat_cost_allocator", 1, clock=CLOCK, telegrams=3)
    with memory_segment([meter]) as segment, session_on(segment) as session:
        meter.faults = (Fault(FaultKind.SAME_ACCESS_NO),)
        begun = session.read_user_data(meter.secondary_address, max_telegrams=1).frames
        whole = session.read_user_data(meter.secondary_address)
    assert whole.frames[:1] == begun and len(whole.frames) == 3 and whole.complete


def test_a_meter_that_ignores_the_reset_of_a_selection_is_read_all_the_same() -> None:
    meter = build_meter("electricity", 1, clock=CLOCK, telegrams=3)
    meter.answer(ShortFrame(FIRST, 1))  # somebody else has begun a readout
    with memory_segment(meters=[meter]) as segment, session_on(segment) as session:
        meter.fault = Fault(FaultKind.NO_RESET)
        answer = session.read_user_data(meter.secondary_address)
        assert answer.complete and len(answer.frames) == 3, "the rest of the old readout is not taken for it"
        assert spoken(segment) == [SELECT, NKE, SELECT, FIRST, SECOND, FIRST, SECOND, FIRST]


@pytest.mark.parametrize("kind", [FaultKind.CHECKSUM, FaultKind.TRUNCATED])
def test_a_damaged_answer_is_asked_for_again_and_refused_if_it_stays_so(kind: FaultKind) -> None:
    with memory_segment() as segment, session_on(segment) as session:
        address = segment.meters[0].secondary_address
        session.read_user_data(address)
        segment.meters[0].fault = Fault(kind, times=1)
        assert session.read_user_data(address, repeats=1).complete
        segment.meters[0].fault = Fault(kind)
        with pytest.raises(FrameDamaged, match=str(address)):
            session.read_user_data(address, repeats=1)


def test_a_silent_meter_among_others_does_not_disturb_them() -> None:
    with memory_segment() as segment, session_on(segment) as session:
        quiet, other = segment.meters[:2]
        for _ in range(2):
            session.read_user_data(quiet.secondary_address)
            quiet.fault = Fault(FaultKind.SILENT)
            with pytest.raises(NoAnswer):
                session.read_user_data(quiet.secondary_address)
            assert who(session.read_user_data(other.secondary_address).frames[0]) == other.identity
            quiet.fault = None


def test_after_a_lost_answer_a_meter_is_reset_so_that_no_old_telegram_comes_instead() -> None:
    with memory_segment() as segment, session_on(segment) as session:
        meter = segment.meters[0]
        session.read_user_data(meter.secondary_address)
        meter.fault = Fault(FaultKind.SILENT, times=1)
        with pytest.raises(NoAnswer):
            session.read_user_data(meter.secondary_address)
        session.read_user_data(meter.secondary_address)
        assert spoken(segment) == [*FRESH, SELECT, *FRESH]


def test_a_late_answer_of_one_selected_meter_is_not_taken_for_the_next_ones() -> None:
    with memory_segment(baudrate=9600) as segment, session_on(segment) as session:
        late, other = segment.meters[:2]
        for meter in (late, other):
            session.read_user_data(meter.secondary_address)
        for delay_s in (0.10, 0.13, 0.16, 0.20, 0.25):
            late.fault = Fault(FaultKind.LATE, times=1, delay_s=delay_s)
            with pytest.raises(NoAnswer):
                while True:  # until the patience it has earned is used up
                    session.read_user_data(late.secondary_address)
                    delay_s *= 2
                    late.fault = Fault(FaultKind.LATE, times=1, delay_s=delay_s)
            assert who(session.read_user_data(other.secondary_address, repeats=3).frames[0]) == other.identity
            assert who(session.read_user_data(late.secondary_address, repeats=3).frames[0]) == late.identity


def test_our_own_echo_of_a_selection_is_removed() -> None:
    with memory_segment(echo=True) as segment, session_on(segment) as session:
        address = segment.meters[0].secondary_address
        assert [session.read_user_data(address).complete for _ in range(3)] == [True] * 3


# ------------------------------------------------------------------ a line that plays from a list
def frame_of(data: str, ci: int = 0x72, address: int = 9) -> bytes:
    return encode(LongFrame(0x08, address, ci, bytes.fromhex(data)))


ANSWER = frame_of("78563412 2440 10 07 01 00 0000 0413 00000000")
ACK = b"\xE5"


def scripted(*script: bytes) -> tuple[ScriptedLine, Session]:
    line = ScriptedLine(ACK, ACK, ACK, *script)
    return line, Session(line, baudrate=FAST, mono=line.mono)


def test_the_published_example_address_goes_over_the_wire_as_its_tools_send_it() -> None:
    line, session = scripted(ANSWER)
    assert session.read_user_data(EXACT).frames == (ANSWER,)
    assert line.written[0] == bytes.fromhex("680B0B6853FD52 78563412 2440 10 07 3116")
    assert line.written[1:] == [bytes.fromhex("1040FD3D16"), line.written[0], bytes.fromhex("107BFD7816")]


@pytest.mark.parametrize(
    "answer",
    [
        frame_of("79563412 2440 10 07 01 00 0000 0413 00000000"),
        frame_of("78563412 2D2C 10 07 01 00 0000 0413 00000000"),
        frame_of("78563412 2440 11 07 01 00 0000 0413 00000000"),
        frame_of("78563412 2440 10 06 01 00 0000 0413 00000000"),
        frame_of("12345679 4024 10 07 01 00 0000 0413 00000001", ci=0x76),
        frame_of("79563412 01 00 E9 7E 01000000 35010000", ci=0x73),
        frame_of("01 00 0000 0413 00000000", ci=0x7A),
        frame_of("0413 00000000", ci=0x78),
        frame_of("78563412", ci=0x72),
    ],
)
def test_what_is_not_from_the_meter_asked_or_does_not_say_so_is_refused(answer: bytes) -> None:
    _, session = scripted(answer)
    with pytest.raises(FrameUnexpected, match="1234567824401007 was asked"):
        session.read_user_data(EXACT)


@pytest.mark.parametrize(
    "answer",
    [
        frame_of("12345678 4024 10 07 01 00 0000 0413 00000001", ci=0x76),
        frame_of("78563412 01 00 E9 7E 01000000 35010000", ci=0x73),
        frame_of("08", ci=0x70),
        frame_of("78563412 2440 10 07 01 00 0000 0413 00000000", address=253),
    ],
)
def test_other_forms_of_answers_from_the_meter_asked_are_taken(answer: bytes) -> None:
    _, session = scripted(answer)
    assert session.read_user_data(EXACT).frames == (answer,)


def test_an_answer_that_open_places_called_forth_is_confirmed_by_the_whole_address() -> None:
    line, session = scripted()
    line.script[:] = [ACK, ANSWER, *[ACK] * 3, ANSWER, ACK, ANSWER[:-2] + b"\x00\x16", b""]
    assert session.read_user_data(SecondaryAddress(id="1234567F")).frames == (ANSWER,)
    selected = [SecondaryAddress.from_wire(request[7:15]) for request in line.written if len(request) == 17]
    assert selected == [SecondaryAddress(id="1234567F"), EXACT, EXACT]


def test_a_meter_that_is_only_the_shadow_of_several_is_a_collision() -> None:
    line = ScriptedLine(ACK, ANSWER)
    with pytest.raises(Collision, match="one seemed to be 1234567824401007, but there is no such meter"):
        Session(line, baudrate=FAST, mono=line.mono).read_user_data(SecondaryAddress(id="1234567F"), repeats=3)


def test_open_places_cost_no_more_once_the_meter_is_known_and_find_its_successor() -> None:
    with memory_segment() as segment, session_on(segment) as session:
        address, meter = SecondaryAddress(id="6FFFFFFF"), segment.meters[0]
        for _ in range(3):
            session.read_user_data(address)
        assert spoken(segment) == [SELECT, FIRST, *FRESH, SELECT, FIRST, SELECT, FIRST]
        meter.identity = replace(meter.identity, id="61111111")
        with pytest.raises(NoAnswer):
            session.read_user_data(address)
        assert who(session.read_user_data(address).frames[0]) == meter.identity


@pytest.mark.parametrize("garbled", ["A5", "E5E5", "E500", "00E5", "10E568", "68E5E5E5"])
def test_anything_but_one_clean_acknowledgement_of_a_selection_is_a_collision(garbled: str) -> None:
    line = ScriptedLine(bytes.fromhex(garbled), *[b""] * 9)
    with pytest.raises(Collision):
        Session(line, baudrate=FAST, mono=line.mono).read_user_data(SecondaryAddress())
    assert len(line.written) == 1


def test_a_second_answer_after_the_first_is_a_collision_where_places_are_open() -> None:
    line = PacedLine(
        [(0.02, ACK)], [(0.02, ANSWER), (0.021, frame_of("79563412 2440 10 07 01 00 0000 0413 00000000"))]
    )
    with pytest.raises(Collision, match="after the answer came 68"):
        Session(line, baudrate=FAST, mono=line.mono).read_user_data(SecondaryAddress(id="1234567F"))


def test_a_telegram_that_never_changes_is_taken_after_one_more_look() -> None:
    line, session = scripted(ANSWER, ACK, ANSWER, ANSWER, *[ACK, ANSWER] * 9)
    assert [session.read_user_data(EXACT).frames for _ in range(2)] == [(ANSWER,)] * 2
    assert [request[1] for request in line.written[-2:]] == [FIRST, SECOND]
    before = len(line.written)
    for _ in range(9):
        session.read_user_data(EXACT)
    assert len(line.written) == before + 18, "selected and asked, no more"


def test_any_single_flipped_bit_is_refused_or_gives_the_right_frame() -> None:
    for bit in range(len(ANSWER) * 8):
        spoiled = bytearray(ANSWER)
        spoiled[bit // 8] ^= 1 << bit % 8
        _, session = scripted(bytes(spoiled))
        with pytest.raises(LinkError):
            session.read_user_data(EXACT)


def test_an_answer_that_ends_early_is_refused_wherever_it_ends() -> None:
    for length in range(len(ANSWER)):
        _, session = scripted(ANSWER[:length])
        with pytest.raises((FrameDamaged, NoAnswer)):
            session.read_user_data(EXACT)


@given(
    script=st.lists(st.binary(max_size=40) | st.sampled_from([ACK, ANSWER, ANSWER + ACK, ACK + ANSWER]), max_size=12),
    repeats=st.integers(0, 3),
    open_places=st.booleans(),
)
def test_a_random_line_gives_the_meters_own_frames_or_our_errors(
    script: list[bytes], repeats: int, open_places: bool
) -> None:
    line = ScriptedLine(*script)
    session = Session(line, baudrate=FAST, mono=line.mono)
    address = SecondaryAddress(id="1234FFFF") if open_places else EXACT
    for _ in range(2):
        try:
            answer = session.read_user_data(address, repeats=repeats)
        except BusError:
            continue
        meters = [who(raw) for raw in answer.frames if parse_long(raw).ci in (0x72, 0x73, 0x76, 0x77)]
        assert all(meter is not None and address.matches(meter) for meter in meters)


@pytest.mark.parametrize("present", [True, False])
@pytest.mark.parametrize("habit", [None, FaultKind.STAYS_SELECTED])
@pytest.mark.parametrize("delay_s", [0.11, 0.13, 0.16, 0.2])
def test_a_late_acknowledgement_that_is_taken_for_anothers_leads_to_no_reading_of_the_wrong_meter(
    delay_s: float, habit: FaultKind | None, present: bool
) -> None:
    """An E5 does not say whose it is: who sends the data that follow does."""
    meters = twins()
    late, wanted = meters[0].secondary_address, meters[1].secondary_address
    with memory_segment(meters=meters if present else meters[:1], baudrate=9600) as segment:
        with session_on(segment) as session:
            habits = () if habit is None else (Fault(habit),)
            meters[0].faults = (Fault(FaultKind.LATE, times=1, delay_s=delay_s), *habits)
            with pytest.raises(NoAnswer):
                session.read_user_data(late)
            if present:
                assert who(session.read_user_data(wanted, repeats=3).frames[0]) == meters[1].identity
            else:
                with pytest.raises(LinkError):
                    session.read_user_data(wanted, repeats=3)
            assert who(session.read_user_data(late, repeats=3).frames[0]) == meters[0].identity
