"""Whatever comes over the wire: only our own errors, always an end, and never another meter's value."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.frames import ShortFrame, encode, parse
from mbusgw.mbus.session import Session
from mbusgw.model.errors import DecodeError, LinkError, MbusgwError
from mbusgw.simulator.cable import Cable
from mbusgw.simulator.catalogue import build_meters
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.virtual import VirtualLine
from tests.mbus.made import OWN_FRAMES
from tests.simulator.wire import CLOCK

#: Bus time after which a read has hung: the longest frame, each of four tries, at 2400 baud.
LONGEST_READ_S = 60.0


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


def read(*answers: bytes, address: int = 1, repeats: int = 0) -> tuple[bytes, ...]:
    """What a read of ``address`` takes from ``answers``; nothing if it fails with one of our errors."""
    line = PlayedLine(*answers)
    began_mono = line.mono()
    try:
        return Session(line, baudrate=2400, mono=line.mono).read_user_data(address, repeats=repeats).frames
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
    for frame in whole[::4]:  # on the bus each costs its time
        for spoiled in list(damaged(frame))[::7]:
            assert read(spoiled, address=frame[5]) == ()
