"""Whatever comes over the wire: only our own errors, always an end, and never another meter's value."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbusgw.mbus.answer import more_records_follow, parse_long
from mbusgw.mbus.decode import decode_frame, identity_of, is_application_error
from mbusgw.mbus.frames import ShortFrame, encode, parse
from mbusgw.mbus.session import Session
from mbusgw.model.address import Address, SecondaryAddress
from mbusgw.model.errors import DecodeError, LinkError, MbusgwError
from mbusgw.simulator.cable import Cable
from mbusgw.simulator.catalogue import build_meters
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.virtual import VirtualLine
from tests.mbus.made import OWN_FRAMES
from tests.simulator.wire import CLOCK

#: Bus time after which a read has hung: the longest frame, each of four tries, at 2400 baud.
LONGEST_READ_S = 60.0
#: Who sends most of the frames made by hand.
METER = SecondaryAddress.parse("123456782D2C0804")


def damaged(frame: bytes) -> Iterator[bytes]:
    """``frame`` ending at each byte, and with each single bit turned over."""
    yield from (frame[:length] for length in range(len(frame)))
    for bit in range(8 * len(frame)):
        spoiled = bytearray(frame)
        spoiled[bit // 8] ^= 1 << bit % 8
        yield bytes(spoiled)


class PlayedLine(VirtualLine):
    """A wire on which every REQ_UD2 is answered by ``answers`` in turn, and everything else by an E5."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__(Cable([], baudrate=2400))
        self.answers = list(answers)

    def write(self, data: bytes) -> None:
        frame = parse(data)
        asked = isinstance(frame, ShortFrame) and frame.control & 0x0F == 0x0B
        answer = (self.answers.pop(0) if self.answers else b"") if asked else b"\xE5"
        self.cable.inject(answer, self.now_mono + len(data) * 11 / 2400 + 0.02)


def forged(frame: bytes) -> Iterator[bytes]:
    """``frame`` with each single bit of its content turned over, and the checksum of what it is then."""
    for bit in range(8 * 4, 8 * (len(frame) - 2)):
        spoiled = bytearray(frame)
        spoiled[bit // 8] ^= 1 << bit % 8
        spoiled[-2] = sum(spoiled[4:-2]) % 256
        yield bytes(spoiled)


def read(
    *answers: bytes, address: Address = 1, repeats: int = 0, meter: SecondaryAddress | None = None
) -> tuple[bytes, ...]:
    """What a read of ``address`` takes from ``answers``; nothing if it fails with one of our errors."""
    line = PlayedLine(*answers)
    session = Session(line, baudrate=2400, mono=line.mono)
    began_mono = line.mono()
    try:
        return session.read_user_data(address, repeats=repeats, meter=meter).frames
    except LinkError:
        return ()
    finally:
        assert line.mono() - began_mono < LONGEST_READ_S


@pytest.mark.parametrize("frame", OWN_FRAMES)
def test_a_damaged_frame_is_refused_by_the_decoder_and_on_the_bus(frame: bytes) -> None:
    address = frame[5]
    for spoiled in damaged(frame):
        with pytest.raises(DecodeError):
            decode_frame(spoiled)
        assert read(spoiled, address=address) == ()


def test_a_damaged_answer_is_asked_for_again_and_the_right_one_is_taken() -> None:
    frame = OWN_FRAMES[1]
    for spoiled in list(damaged(frame))[1::37]:
        if frame not in spoiled:
            assert read(spoiled, frame, frame, address=1, repeats=2)[:1] in ((frame,), ())


@pytest.mark.parametrize(
    "frame", [one for one in OWN_FRAMES if identity_of(parse_long(one)) is not None and not more_records_follow(one)]
)
def test_a_wrong_frame_with_a_right_checksum_is_taken_from_the_meter_that_was_asked_only(frame: bytes) -> None:
    """By its primary address and who it must be, and by selection. What an application error says has no value."""
    identity = identity_of(parse_long(frame))
    assert identity is not None
    meter = SecondaryAddress.of(identity)
    known_bits = 8 * 4 if identity.manufacturer is None else 8 * 8  # the number alone, or all that names a meter
    for address in (frame[5], meter):
        assert read(frame, frame, frame, address=address, meter=meter) == (frame,)
        refused = 0
        for spoiled in forged(frame):
            taken = read(spoiled, spoiled, spoiled, address=address, meter=meter)
            refused += not taken
            for raw in map(parse_long, taken):
                sender = identity_of(raw)
                assert is_application_error(raw) or sender is not None and meter.matches(sender)
                assert raw.address == address or isinstance(address, SecondaryAddress)
        assert refused >= known_bits + (8 if address == frame[5] else 0)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_what_comes_before_and_after_an_answer_makes_no_other_of_it(before: bytes, after: bytes) -> None:
    frame = OWN_FRAMES[1]
    for raw in read(before + frame + after, frame, frame, repeats=2, meter=METER):
        assert METER.matches(identity_of(parse_long(raw)))  # type: ignore[arg-type]
        assert raw == frame or before, "only what came first can have swallowed the answer"


@given(st.binary(max_size=300))
def test_random_bytes_end_in_our_errors(stream: bytes) -> None:
    try:
        decode_frame(stream)
    except MbusgwError:
        pass
    for raw in read(stream, stream):
        assert decode_or_error(raw)


def decode_or_error(raw: bytes) -> bool:
    frame = parse(raw)  # whatever was taken is a whole frame
    return encode(frame) == raw and frame.address == 1  # type: ignore[union-attr]


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(
    delays=st.lists(st.floats(0, 4), min_size=3, max_size=3),
    order=st.lists(st.integers(0, 2), min_size=6, max_size=16),
    by_selection=st.lists(st.booleans(), min_size=3, max_size=3),
)
def test_a_late_answer_is_never_taken_for_another_meters(
    delays: list[float], order: list[int], by_selection: list[bool]
) -> None:
    meters = build_meters(3, clock=CLOCK)
    for meter, delay_s in zip(meters, delays, strict=True):
        meter.fault = Fault(FaultKind.LATE, delay_s=delay_s)
    line = VirtualLine(Cable(meters, baudrate=2400))
    session = Session(line, baudrate=2400, mono=line.mono)
    for place in order:
        meter = meters[place]
        began_mono = line.mono()
        try:
            answer = session.read_user_data(meter.secondary_address if by_selection[place] else meter.address)
            telegrams = [decode_frame(raw) for raw in answer.frames]
            assert {telegram.header.meter for telegram in telegrams} == {meter.identity}
        except LinkError:
            pass
        assert line.mono() - began_mono < LONGEST_READ_S


@pytest.mark.parametrize("hold_s", [0.5, 3.0, 20.0])
def test_a_meter_that_holds_the_line_costs_an_error_and_no_more(hold_s: float) -> None:
    holder, other = build_meters(2, clock=CLOCK)
    holder.fault = Fault(FaultKind.HOLDS, delay_s=hold_s, times=1)
    line = VirtualLine(Cable([holder, other], baudrate=2400))
    session = Session(line, baudrate=2400, mono=line.mono)
    began_mono = line.mono()
    answers = 0
    while line.mono() - began_mono < hold_s + 15:
        for address in (1, 2):
            try:
                answers += session.read_user_data(address, repeats=1).complete
            except LinkError:
                line.sleep_until(line.mono() + 0.5)
    assert answers >= 10


def test_a_converter_that_echoes_sometimes_is_no_trouble() -> None:
    cable = Cable(build_meters(2, clock=CLOCK), baudrate=2400)
    line = VirtualLine(cable)
    session = Session(line, baudrate=2400, mono=line.mono)
    for n in range(40):
        cable.echo = n % 3 == 0
        assert session.read_user_data(n % 2 + 1).complete


@pytest.mark.slow
def test_recorded_frames_are_refused_ending_at_each_byte_or_with_a_flipped_bit(data_folder: Path) -> None:
    lines = (data_folder / "wired" / "frames.jsonl").read_text().splitlines()
    frames = sorted({bytes.fromhex(json.loads(line)["hex"]) for line in lines}, key=len)
    whole = [frame for frame in frames if read(frame, address=frame[5]) == (frame,)]
    assert len(whole) > 20
    for frame in whole:
        for spoiled in damaged(frame):
            with pytest.raises(DecodeError):
                decode_frame(spoiled)
    for frame in whole:  # on the bus each costs its time
        for spoiled in list(damaged(frame))[::7]:
            assert read(spoiled, address=frame[5]) == ()
