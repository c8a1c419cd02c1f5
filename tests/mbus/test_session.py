"""Exchanges with simulated meters, in memory and over real ports, and over a line that plays from a list."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from mbusgw.mbus.answer import parse_long
from mbusgw.mbus.frames import LongFrame, ShortFrame, encode, parse
from mbusgw.mbus.link import Ways
from mbusgw.mbus.session import Session
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import Collision, FrameDamaged, FrameUnexpected, NoAnswer, TransportLost
from mbusgw.simulator.cable import Cable
from mbusgw.simulator.catalogue import build_meter
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.line import PtyLine, SimulatedLine, TcpLine
from mbusgw.simulator.segment import Segment
from mbusgw.simulator.virtual import VirtualLine
from mbusgw.transports.latency import UNKNOWN_SLACK_S
from mbusgw.transports.serialport import open_port
from tests.simulator.memory import MemorySegment, memory_segment
from tests.simulator.wire import CLOCK, FAST, running_segment
from tests.wait import PATIENCE_S, wait_until

NKE, FIRST, SECOND = 0x40, 0x7B, 0x5B


@contextmanager
def session_on(segment: Segment | MemorySegment, **options: object) -> Iterator[Session]:
    """Over a real port, where a busy machine may make an answer late, a session waits for as long as it takes."""
    if isinstance(segment, MemorySegment):
        port = segment.open_port()
    else:
        port = open_port(segment.port, baudrate=segment.baudrate)  # type: ignore[assignment]
        options = {"latency_s": PATIENCE_S, "serial_timeout_s": PATIENCE_S, **options}
    try:
        yield Session(port, baudrate=segment.baudrate, mono=segment.clock.mono, **options)  # type: ignore[arg-type]
    finally:
        port.close()


def controls(segment: Segment | MemorySegment, address: int = 1) -> list[int]:
    """The control fields that the segment heard for one address."""
    frames = [parse(request) for _, request in segment.requests]
    return [frame.control for frame in frames if isinstance(frame, ShortFrame) and frame.address == address]


# ------------------------------------------------------------------ the right way
def test_a_meter_is_initialised_once_and_then_asked_with_toggling_fcb() -> None:
    with memory_segment() as segment, session_on(segment) as session:
        answers = [session.read_user_data(1) for _ in range(3)]
        assert controls(segment) == [NKE, FIRST, SECOND, FIRST]
    assert all(answer.complete and len(answer.frames) == 1 for answer in answers)
    assert len({answer.frames[0] for answer in answers}) == 3, "each answer has an access number of its own"


@pytest.mark.parametrize("line", [PtyLine(), TcpLine()], ids=["pty", "tcp"])
def test_a_read_over_a_real_port_gives_the_same(line: SimulatedLine) -> None:
    with running_segment(line) as segment, session_on(segment) as session:
        frame = parse_long(session.read_user_data(2).frames[0])
    assert (frame.address, frame.control, frame.ci) == (2, 0x08, 0x72)


def test_a_complete_frame_is_not_followed_by_a_wait() -> None:
    with memory_segment(baudrate=9600) as segment, session_on(segment) as session:
        session.read_user_data(1)
        started_mono = segment.clock.mono()
        raw = session.read_user_data(1).frames[0]
        took_s = segment.clock.mono() - started_mono
    assert took_s == pytest.approx((33 + (5 + len(raw)) * 11) / 9600 + segment.answer_delay_s, abs=0.0001)


def test_the_line_is_idle_for_33_bit_times_before_a_request() -> None:
    with memory_segment(baudrate=2400) as segment, session_on(segment) as session:
        ends = []
        for _ in range(3):
            session.read_user_data(1)
            ends.append(segment.clock.mono())
    starts = [mono for mono, request in segment.requests if request[1] != NKE][1:]
    assert [start - end for end, start in zip(ends, starts)] == pytest.approx([33 / 2400] * 2, abs=0.0001)


def test_a_line_that_was_just_opened_must_be_idle_too_before_the_first_request() -> None:
    line = PacedLine([(0.02, b"\xE5")], [(0.02, ANSWER)])
    line.coming = [(line.now + 0.02, b"\x55"), (line.now + 0.04, b"\x55")]
    session = Session(line, baudrate=300, mono=line.mono)
    begun = line.now
    assert session.read_user_data(1).frames == (ANSWER,)
    assert line.began[0] - begun == pytest.approx(0.04 + 33 / 300, abs=0.005)


def test_telegrams_are_read_until_no_more_records_follow() -> None:
    meter = build_meter("electricity", 1, clock=CLOCK, telegrams=3)
    with memory_segment(meters=[meter]) as segment, session_on(segment) as session:
        first, second = session.read_user_data(1), session.read_user_data(1)
        assert controls(segment) == [NKE, FIRST, SECOND, FIRST, SECOND, FIRST, SECOND]
    assert [len(answer.frames) for answer in (first, second)] == [3, 3]
    assert first.complete and len(set(first.frames)) == 3


def test_a_readout_ends_at_its_bound() -> None:
    meter = build_meter("electricity", 1, clock=CLOCK, telegrams=4)
    with memory_segment(meters=[meter]) as segment, session_on(segment) as session:
        answer = session.read_user_data(1, max_telegrams=2)
        assert not answer.complete and len(answer.frames) == 2
        session.read_user_data(1)
        assert controls(segment).count(NKE) == 2, "only SND_NKE leads back to the first telegram"


def test_address_254_is_answered_by_a_lone_meter_under_its_own_address() -> None:
    with memory_segment(meters=1) as segment, session_on(segment) as session:
        assert parse_long(session.read_user_data(254).frames[0]).address == 1


@pytest.mark.parametrize("everybody", [254, SecondaryAddress()])
def test_a_request_that_all_meters_hear_leaves_none_of_them_in_the_middle_of_its_readout(
    everybody: int | SecondaryAddress
) -> None:
    meters = [build_meter("electricity", address, clock=CLOCK, telegrams=3) for address in (1, 2)]
    with memory_segment(meters=meters) as segment, session_on(segment) as session:
        whole = session.read_user_data(1)
        with pytest.raises((FrameDamaged, Collision)):  # both answer at once
            session.read_user_data(everybody)
        again = session.read_user_data(1)
    assert again.complete and len(again.frames) == len(whole.frames) == 3, "its first telegram is not missing"


def test_a_meter_that_was_read_by_selection_begins_with_its_first_telegram_at_its_primary_address_too() -> None:
    meter = build_meter("electricity", 1, clock=CLOCK, telegrams=3)
    with memory_segment(meters=[meter]) as segment, session_on(segment) as session:
        for _ in range(2):  # so that the same frame count bit is due as the selected meter has had last
            session.read_user_data(1)
        session.read_user_data(meter.secondary_address)
        assert len(session.read_user_data(1).frames) == 3


# ------------------------------------------------------------------ what goes wrong
def test_a_silent_meter_costs_one_answer_window() -> None:
    with memory_segment(baudrate=2400) as segment, session_on(segment) as session:
        session.rest()
        started_mono = segment.clock.mono()
        with pytest.raises(NoAnswer, match="no answer from address 9") as caught:
            session.read_user_data(9, repeats=3)
        took_s = segment.clock.mono() - started_mono
    assert len(segment.requests) == 1
    assert took_s == pytest.approx((330 + 11 + 55) / 2400 + 0.05 + UNKNOWN_SLACK_S, abs=0.0001)
    assert "baud rate" in caught.value.hint


@pytest.mark.parametrize("baudrate", [300, 600, 1200, 2400, 4800, 9600, 19200, 38400])
def test_an_answer_that_begins_at_the_end_of_the_window_is_heard_at_every_speed(baudrate: int) -> None:
    meter = build_meter("heat", 1, clock=CLOCK)
    meter.fault = Fault(FaultKind.SLOWEST)
    line = VirtualLine(Cable([meter], baudrate=baudrate), slack_s=0.0001)
    session = Session(line, baudrate=baudrate, mono=line.mono)
    assert session.read_user_data(1).complete
    assert len(line.cable.requests) == 2, "initialised and asked, each once"


def test_a_meter_that_ignores_initialisation_is_read_all_the_same() -> None:
    with memory_segment() as segment, session_on(segment) as session:
        segment.meters[0].fault = Fault(FaultKind.SILENT, times=1)
        with pytest.raises(NoAnswer):
            session.read_user_data(1)
        answer = session.read_user_data(1)
        # The meter may have taken the first request for a repeat of an old one: the second answer counts.
        assert controls(segment) == [NKE, FIRST, SECOND]
    assert answer.complete


def test_a_wrong_checksum_is_asked_for_again_with_the_same_fcb() -> None:
    with memory_segment() as segment, session_on(segment) as session:
        session.read_user_data(1)
        segment.meters[0].fault = Fault(FaultKind.CHECKSUM, times=2)
        answer = session.read_user_data(1, repeats=3)
        assert controls(segment) == [NKE, FIRST, SECOND, SECOND, SECOND]
    assert parse_long(answer.frames[0]).address == 1
    assert len(segment.meters[0].answers) == 2, "a repeat gives the same telegram, not a new one"


@pytest.mark.parametrize(
    ("kind", "message"), [(FaultKind.CHECKSUM, "checksum"), (FaultKind.TRUNCATED, "broke off after")]
)
def test_a_frame_that_stays_damaged_is_refused(kind: FaultKind, message: str) -> None:
    with memory_segment() as segment, session_on(segment) as session:
        session.read_user_data(1)
        segment.meters[0].fault = Fault(kind)
        with pytest.raises(FrameDamaged, match=message) as caught:
            session.read_user_data(1, repeats=1)
        assert "wiring" in caught.value.hint
        segment.meters[0].fault = None
        assert session.read_user_data(1).complete


def test_noise_before_a_frame_is_skipped() -> None:
    with memory_segment() as segment, session_on(segment) as session:
        session.read_user_data(1)
        segment.meters[0].fault = Fault(FaultKind.NOISE)
        assert session.read_user_data(1).complete


def test_the_answer_of_another_address_is_not_taken() -> None:
    with memory_segment() as segment, session_on(segment) as session:
        session.read_user_data(1)
        segment.meters[0].fault = Fault(FaultKind.WRONG_ADDRESS)
        with pytest.raises(FrameUnexpected, match="address 2 answered, 1 was asked"):
            session.read_user_data(1)


def test_at_a_primary_address_only_the_meter_that_is_named_is_believed() -> None:
    with memory_segment() as segment, session_on(segment) as session:
        own = segment.meters[0].secondary_address
        assert session.read_user_data(1, meter=own).complete
        assert session.read_user_data(1, meter=replace(own, version=0xFF, id="FFFFFFFF")).complete
        segment.meters[0].fault = Fault(FaultKind.WRONG_ID)
        before = len(segment.requests)
        with pytest.raises(FrameUnexpected, match=f"at address 1 .* answered, {own} was asked") as refused:
            session.read_user_data(1, meter=own, repeats=1)
        assert "replaced" in refused.value.hint
        assert len(segment.requests) == before + 2, "once more, and then no further"
        assert session.read_user_data(1).complete, "whoever it is, where nobody is named"


def test_an_answer_that_names_no_meter_is_refused_where_one_is_named() -> None:
    _, session = scripted(b"\xE5", ANSWER)
    with pytest.raises(FrameUnexpected, match="does not say which meter"):
        session.read_user_data(1, meter=SecondaryAddress("12345678"))


def test_a_late_answer_is_not_taken_for_the_next_meters() -> None:
    with memory_segment(baudrate=9600) as segment, session_on(segment) as session:
        for address in (1, 2):
            session.read_user_data(address)
        late, next_one = segment.meters[:2]
        for delay_s in (0.13, 0.16, 0.20, 0.25):
            late.fault = Fault(FaultKind.LATE, times=1, delay_s=delay_s)
            with pytest.raises(NoAnswer):
                session.read_user_data(1)
            frame = parse_long(session.read_user_data(2, repeats=3).frames[0])
            assert frame.address == 2
            assert frame.data[:4] == bytes.fromhex(next_one.identity.id)[::-1]
            session.read_user_data(1, repeats=3)


def test_a_meter_slower_than_the_standard_is_given_more_time_after_its_first_late_answer() -> None:
    with memory_segment(baudrate=9600, answer_delay_s=0.35) as segment, session_on(segment) as session:
        failures = 0
        while failures < 10:
            try:
                answer = session.read_user_data(1)
                break
            except NoAnswer:
                failures += 1
                sent = len(segment.requests)
                segment.clock.advance(0.3)
                session.look()
                segment.clock.advance(0.3)
                session.look()
                assert len(segment.requests) == sent
        assert answer.complete and 1 <= failures <= 4
        assert session.read_user_data(1).complete, "and from then on at once"
        with pytest.raises(NoAnswer, match="within 1[0-9][0-9] ms"):  # a silent one costs no more than before
            session.read_user_data(77)


def test_our_own_echo_is_removed() -> None:
    with memory_segment(echo=True) as segment, session_on(segment) as session:
        assert [session.read_user_data(1).complete for _ in range(3)] == [True] * 3


def test_an_echo_that_is_not_wanted_is_an_error() -> None:
    with memory_segment(echo=True) as segment, session_on(segment, echo="off") as session:
        with pytest.raises(FrameUnexpected):
            session.read_user_data(9)


def test_a_line_that_goes_is_lost() -> None:
    with running_segment() as segment, session_on(segment) as session:
        session.read_user_data(1)
        segment.unplug()
        wait_until(lambda: not segment.connected)
        with pytest.raises(TransportLost):
            session.read_user_data(1)


# ------------------------------------------------------------------ a line that plays from a list
class ScriptedLine:
    """Answers each request with the next entry of its script, on a clock that it turns itself."""

    slack_s = 0.0
    slack_guessed = False

    def __init__(self, *script: bytes) -> None:
        self.script = list(script)
        self.now = 100.0
        self.waiting = b""
        self.written: list[bytes] = []
        self.baudrates: list[int] = []

    def mono(self) -> float:
        return self.now

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        some, self.waiting = self.waiting[:max_bytes], self.waiting[max_bytes:]
        self.now += 0.001 if some else max(0.0, timeout_s)
        return some

    def rest(self, seconds: float) -> None:
        self.now += seconds

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.waiting = self.script.pop(0) if self.script else b""

    def purge(self) -> bytes:
        dropped, self.waiting = self.waiting, b""
        return dropped

    def set_baudrate(self, baudrate: int) -> None:
        self.baudrates.append(baudrate)


ANSWER = encode(LongFrame(0x08, 1, 0x78, bytes.fromhex("0413 00000000")))


def scripted(*script: bytes) -> tuple[ScriptedLine, Session]:
    line = ScriptedLine(*script)
    return line, Session(line, baudrate=FAST, mono=line.mono)


def test_an_acknowledgement_instead_of_data_is_unexpected() -> None:
    _, session = scripted(b"\xE5", b"\xE5")
    with pytest.raises(FrameUnexpected, match="sent no data"):
        session.read_user_data(1)


def test_bytes_that_begin_no_frame_are_told_apart_from_silence() -> None:
    _, session = scripted(b"\xE5", b"\x00\x01\x02\x03")
    with pytest.raises(FrameDamaged, match="4 bytes from address 1 that begin no frame"):
        session.read_user_data(1)


def test_a_false_start_inside_noise_does_not_hide_the_frame() -> None:
    _, session = scripted(b"\xE5", b"\x68\x05\x68\x00" + ANSWER)
    assert session.read_user_data(1).frames == (ANSWER,)


def test_a_meter_that_repeats_its_telegram_for_ever_is_left() -> None:
    more = encode(LongFrame(0x08, 1, 0x72, bytes.fromhex("785634124C4801070100 0000 0413000000001F".replace(" ", ""))))
    line, session = scripted(b"\xE5", *[more] * 30)
    answer = session.read_user_data(1)
    assert answer.frames == (more,) and not answer.complete
    assert len(line.written) == 4, "initialised, asked, asked for the next one twice"


def telegram(access_no: int, *, more: bool = False, value: int = 0) -> bytes:
    header = bytes.fromhex("785634124C480107") + bytes((access_no, 0, 0, 0))
    records = bytes.fromhex("0413") + value.to_bytes(4, "little") + (b"\x1F" if more else b"")
    return encode(LongFrame(0x08, 1, 0x72, header + records))


def test_a_meter_that_goes_round_in_circles_is_left() -> None:
    first, second = telegram(1, more=True), telegram(2, more=True)
    line, session = scripted(b"\xE5", *[first, second] * 30)
    answer = session.read_user_data(1)
    assert answer.frames == (first, second) and not answer.complete
    assert len(line.written) == 5, "the first once more may be a late answer, so it is asked for once more"


def test_in_a_readout_an_older_telegram_is_a_late_answer_and_no_part_of_it() -> None:
    old, first, second = telegram(9, value=1), telegram(10, more=True, value=2), telegram(11, value=3)
    _, session = scripted(b"\xE5", first, old, second)
    assert session.read_user_data(1).frames == (first, second)


def test_access_numbers_begin_again_behind_255() -> None:
    first, second = telegram(255, more=True), telegram(0, value=3)
    line, session = scripted(b"\xE5", first, second)
    assert session.read_user_data(1).frames == (first, second)
    assert len(line.written) == 3


def test_a_telegram_of_the_last_read_once_more_is_not_taken_for_news() -> None:
    _, session = scripted(b"\xE5", telegram(1), telegram(1), b"\xE5", telegram(2))
    assert session.read_user_data(1).frames == (telegram(1),)
    assert session.read_user_data(1).frames == (telegram(2),), "the meter had missed that the FCB toggled"


def test_the_last_part_of_the_last_readout_is_not_taken_for_a_new_one() -> None:
    parts = [telegram(1, more=True), telegram(2)]
    again = [telegram(3, more=True), telegram(4)]
    _, session = scripted(b"\xE5", *parts, telegram(2), *again)
    assert session.read_user_data(1).frames == tuple(parts)
    assert session.read_user_data(1).frames == tuple(again)


def test_a_meter_that_is_stuck_in_its_fcb_is_freed_and_initialised_each_time_from_then_on() -> None:
    stuck = [[b"\xE5", telegram(n), telegram(n)] for n in (1, 2)]
    line, session = scripted(*stuck[0], *stuck[1], *[b"\xE5", telegram(3)], *[b"\xE5", telegram(4)])
    frames = [session.read_user_data(1).frames[0] for _ in range(4)]
    assert frames == [telegram(n) for n in (1, 2, 3, 4)], "never an old one"
    freed = [NKE, FIRST, SECOND]
    assert [request[1] for request in line.written] == [*freed, *freed, NKE, FIRST, NKE, FIRST]


def test_a_meter_that_once_missed_the_toggled_fcb_is_not_initialised_ever_after() -> None:
    news = [telegram(n) for n in (2, 3, 4)]
    line, session = scripted(b"\xE5", telegram(1), telegram(1), b"\xE5", *news, telegram(4))
    line.script += [b"\xE5", telegram(5), telegram(6)]
    assert [session.read_user_data(1).frames[0] for _ in range(6)] == [telegram(n) for n in (1, 2, 3, 4, 5, 6)]
    assert [request[1] for request in line.written[5:]] == [SECOND, FIRST, SECOND, NKE, FIRST, SECOND]


def test_a_meter_with_nothing_new_to_say_is_initialised_once_more_and_then_believed() -> None:
    line, session = scripted(b"\xE5", telegram(1), telegram(1), b"\xE5", *[telegram(1)] * 40)
    for _ in range(40):
        assert session.read_user_data(1).frames == (telegram(1),)
    assert len(line.written) == 1 + 40 + 2, "one exchange more: SND_NKE and the request"


def test_what_is_known_of_such_a_meter_outlives_its_port() -> None:
    ways: Ways = {}
    for extra in (2, 0):
        line = ScriptedLine(b"\xE5", telegram(1), telegram(1), *[b"\xE5"] * (extra // 2), *[telegram(1)] * 9)
        session = Session(line, baudrate=FAST, mono=line.mono, ways=ways)
        for _ in range(9):
            assert session.read_user_data(1).frames == (telegram(1),)
        assert len(line.written) == 1 + 9 + extra


def test_a_meter_that_changes_seldom_is_believed_too_and_one_that_counts_again_is_doubted_again() -> None:
    believed = [telegram(1), telegram(1), b"\xE5", telegram(1)]
    line, session = scripted(b"\xE5", *believed, telegram(2), telegram(2), telegram(3), telegram(4), telegram(4))
    line.script += [b"\xE5", telegram(5)]
    frames = [session.read_user_data(1).frames[0] for _ in range(7)]
    assert frames == [telegram(n) for n in (1, 1, 2, 2, 3, 4, 5)]
    assert len(line.written) == 12


@pytest.mark.parametrize("due", [0x5B, 0x7B])
def test_an_initialisation_that_is_due_anyway_settles_the_doubt(due: int) -> None:
    before = [telegram(n) for n in ((9,) if due == SECOND else (9, 8))]
    line, session = scripted(b"\xE5", *before, b"\xE5", *[before[-1]] * 9)
    for _ in before:
        session.read_user_data(1)
    session.read_user_data(1, reset=True)
    for _ in range(3):
        session.read_user_data(1)
    assert len(line.written) == 1 + len(before) + 2 + (due == SECOND) + 3


def test_a_meter_that_never_acknowledges_is_believed_in_the_end() -> None:
    class DeafLine(ScriptedLine):
        def write(self, data: bytes) -> None:
            super().write(data)
            self.waiting = b"" if data[1] == NKE else telegram(1)

    line = DeafLine()
    session = Session(line, baudrate=FAST, mono=line.mono)
    with pytest.raises(NoAnswer):
        session.read_user_data(1)
    costs = []
    for _ in range(12):
        before = len(line.written)
        assert session.read_user_data(1).frames == (telegram(1),)
        costs.append(len(line.written) - before)
    assert costs[-6:] == [1] * 6


def test_without_an_access_number_the_same_bytes_are_the_same_values() -> None:
    line, session = scripted(b"\xE5", *[ANSWER] * 5)
    for _ in range(5):
        session.read_user_data(1)
    assert len(line.written) == 6


class PacedLine(ScriptedLine):
    """Every entry of the script is bytes that come so many seconds after the request."""

    def __init__(self, *script: list[tuple[float, bytes]]) -> None:
        super().__init__()
        self.coming: list[tuple[float, bytes]] = []
        self.paced = list(script)
        self.began: list[float] = []

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        if not self.waiting and self.coming and self.coming[0][0] <= self.now + timeout_s:
            self.now, self.waiting = self.coming.pop(0)
        return super().read(max_bytes, timeout_s)

    def purge(self) -> bytes:
        while self.coming and self.coming[0][0] <= self.now:
            self.waiting += self.coming.pop(0)[1]
        return super().purge()

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.began.append(self.now)
        self.coming = [(self.now + delay_s, some) for delay_s, some in (self.paced.pop(0) if self.paced else [])]


def test_a_meter_has_its_whole_window_after_the_late_answer_of_another() -> None:
    others = encode(LongFrame(0x08, 9, 0x78, bytes.fromhex("0413 00000000")))
    line = PacedLine([(0.02, b"\xE5")], [(0.07, others), (0.15, ANSWER)])
    session = Session(line, baudrate=9600, mono=line.mono)
    assert session.read_user_data(1).frames == (ANSWER,), "the window of 86 ms begins when the line is free"
    assert len(line.written) == 2


def test_a_late_answer_can_be_waited_for_and_a_silent_meter_not_for_ever() -> None:
    line = PacedLine([(0.02, b"\xE5")], [(0.5, ANSWER)], [(0.5, ANSWER)])
    session = Session(line, baudrate=9600, mono=line.mono)
    with pytest.raises(NoAnswer):
        session.read_user_data(1)
    session.await_late(2)
    assert line.now - line.began[-1] < 1, "its answer was there"
    assert session.read_user_data(1).frames == (ANSWER,)
    with pytest.raises(NoAnswer):
        session.read_user_data(1)
    asked = line.began[-1]
    session.await_late(2)
    assert line.now - asked == pytest.approx(2 + 55 / 9600)


def test_one_late_answer_tells_how_much_time_a_slow_meter_needs() -> None:
    line = PacedLine([(0.02, b"\xE5")], [(0.5, ANSWER)], [(0.5, ANSWER)])
    session = Session(line, baudrate=9600, mono=line.mono)
    with pytest.raises(NoAnswer):
        session.read_user_data(1)
    line.now += 0.45
    session.look()
    assert session.read_user_data(1).frames == (ANSWER,)


def test_a_late_answer_is_noticed_beside_other_bytes_and_while_others_are_silent_too() -> None:
    line = PacedLine([(0.02, b"\xE5")], [(0.5, b"\xFF" + ANSWER + b"\x10\x40")], [], [(0.5, ANSWER)])
    session = Session(line, baudrate=9600, mono=line.mono)
    with pytest.raises(NoAnswer):
        session.read_user_data(1)
    late = line.coming
    with pytest.raises(NoAnswer):
        session.read_user_data(2)
    line.coming = late
    line.now += 0.4
    session.look()
    assert session.read_user_data(1).frames == (ANSWER,)


def window_of(session: Session, address: int) -> str:
    with pytest.raises(NoAnswer) as caught:
        session.read_user_data(address)
    return str(caught.value).split("within ")[1]


def test_a_meter_that_acknowledges_and_sends_no_data_does_not_keep_a_longer_window() -> None:
    class MuteLine(PacedLine):
        def write(self, data: bytes) -> None:
            super().write(data)
            self.coming = [(self.now + 0.02, b"\xE5")] if data[1] == NKE else []

    line = MuteLine(*([[]] * 100))
    session = Session(line, baudrate=9600, mono=line.mono)

    def window() -> str:
        with pytest.raises(NoAnswer) as caught:
            session.read_user_data(9, reset=True)
        return str(caught.value).split("within ")[1]

    window()
    line.waiting = b"\xE5"
    windows = [window() for _ in range(7)]
    assert windows[0] != "86 ms", "the case is real"
    assert windows[-1] == "86 ms"


def test_an_acknowledgement_in_place_of_data_says_nothing_about_the_silent_one_before() -> None:
    line = PacedLine(*([[], [(0.02, b"\xE5")], [(0.02, b"\xE5")], [], [(0.02, b"\xE5")]]))
    session = Session(line, baudrate=9600, mono=line.mono)
    assert window_of(session, 9) == "86 ms"
    with pytest.raises(FrameUnexpected, match="sent no data"):
        session.read_user_data(1)
    assert window_of(session, 9) == "86 ms"


def test_a_frame_sent_twice_does_not_earn_more_time_for_a_miss_long_ago() -> None:
    line = PacedLine([(0.02, b"\xE5")], [], [(0.02, ANSWER + ANSWER)], [(0.02, ANSWER + ANSWER)], [])
    session = Session(line, baudrate=9600, mono=line.mono)
    assert window_of(session, 1) == "86 ms"
    for _ in range(2):
        assert session.read_user_data(1).frames == (ANSWER,)
        session.look()
    assert window_of(session, 1) == "86 ms"


def test_a_slow_meter_that_has_gone_costs_no_more_than_another() -> None:
    line = PacedLine([(0.02, b"\xE5")], [(0.5, ANSWER)])
    session = Session(line, baudrate=9600, mono=line.mono)
    assert window_of(session, 1) == "86 ms"
    line.now += 0.45
    session.look()
    windows = [window_of(session, 1) for _ in range(8)]
    assert windows[0] != "86 ms" and windows[-1] == "86 ms"


def test_answers_of_others_without_end_do_not_hold_the_bus() -> None:
    others = encode(LongFrame(0x08, 9, 0x78, bytes.fromhex("0413 00000000")))
    line = PacedLine([(0.02, b"\xE5")], [(0.05 * n, others) for n in range(1, 400)])
    session = Session(line, baudrate=9600, mono=line.mono, serial_timeout_s=1.0)
    began = line.now
    with pytest.raises(FrameUnexpected, match="address 9 answered, 1 was asked"):
        session.read_user_data(1)
    assert line.now - began < 1.3


def test_a_line_that_is_never_quiet_ends_with_a_message() -> None:
    class BabblingLine(ScriptedLine):
        def read(self, max_bytes: int, timeout_s: float) -> bytes:
            self.now += 0.0001
            return b"\x55"

        def purge(self) -> bytes:
            return b"\x55"

    line = BabblingLine()
    with pytest.raises(FrameDamaged, match="not quiet") as caught:
        Session(line, baudrate=2400, mono=line.mono, serial_timeout_s=0.5).read_user_data(1)
    assert line.now < 102
    assert "holds the line" in caught.value.hint


def test_noise_that_never_ends_does_not_hold_the_bus() -> None:
    class NoisyLine(ScriptedLine):
        def read(self, max_bytes: int, timeout_s: float) -> bytes:
            if not self.written:
                return super().read(max_bytes, timeout_s)
            self.now += 0.0001
            return b"\x55"

    line = NoisyLine()
    with pytest.raises(FrameDamaged, match="begin no frame"):
        Session(line, baudrate=2400, mono=line.mono).read_user_data(1)
    assert line.now < 102


def test_a_request_must_be_answered_with_data_and_a_command_with_an_acknowledgement() -> None:
    _, session = scripted(ANSWER, b"\xE5", ANSWER)
    assert session.request(ShortFrame(SECOND, 1), 1).ci == 0x78
    session.send(ShortFrame(NKE, 1), 1)
    with pytest.raises(FrameUnexpected, match="instead of an acknowledgement"):
        session.send(ShortFrame(NKE, 1), 1)


def test_every_frame_is_told_to_the_trace() -> None:
    seen: list[tuple[str, bytes]] = []
    line = ScriptedLine(b"\xE5", ANSWER)
    Session(line, baudrate=FAST, mono=line.mono, trace=lambda *what: seen.append(what)).read_user_data(1)
    assert [direction for direction, _ in seen] == ["tx", "rx", "tx", "rx"]
    assert seen[-1] == ("rx", ANSWER)


def test_any_single_flipped_bit_gives_the_right_frame_or_our_error() -> None:
    for bit in range(len(ANSWER) * 8):
        spoiled = bytearray(ANSWER)
        spoiled[bit // 8] ^= 1 << bit % 8
        _, session = scripted(b"\xE5", bytes(spoiled))
        with pytest.raises((FrameDamaged, FrameUnexpected, NoAnswer)):
            session.read_user_data(1)


def test_a_frame_that_ends_early_is_refused_wherever_it_ends() -> None:
    for length in range(1, len(ANSWER)):
        _, session = scripted(b"\xE5", ANSWER[:length])
        with pytest.raises(FrameDamaged):
            session.read_user_data(1)


BUSY = encode(LongFrame(0x08, 1, 0x70, b"\x08"))


def test_an_application_error_leaves_the_meter_in_the_middle_of_its_readout() -> None:
    line, session = scripted(b"\xE5", BUSY, b"\xE5", ANSWER)
    assert session.read_user_data(1).frames == (BUSY,)
    assert session.read_user_data(1).frames == (ANSWER,)
    assert [request[1] for request in line.written] == [NKE, FIRST, NKE, FIRST]


def test_an_acknowledgement_among_the_remains_of_a_telegram_confirms_nothing() -> None:
    line, session = scripted(b"\x00\x01\xE5", ANSWER, encode(LongFrame(0x08, 1, 0x78, bytes.fromhex("0413 01000000"))))
    assert session.read_user_data(1).frames != (ANSWER,), "that one may be a repeat of a telegram long past"
    assert [request[1] for request in line.written] == [NKE, FIRST, SECOND]
