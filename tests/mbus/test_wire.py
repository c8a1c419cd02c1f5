"""The silence before a request, and how often a frame is looked for, counted on a clock that stands still."""
from __future__ import annotations

import pytest

from mbusgw.mbus.frames import RSP_UD, LongFrame, encode
from mbusgw.mbus.tally import Tallies
from mbusgw.mbus.wire import ANSWER_EXTRA_S, BITS_PER_BYTE, GAP_BITS, GROUP_BYTES, IDLE_BITS, Wire
from mbusgw.model.errors import FrameDamaged
from mbusgw.model.wording import counted
from tests.fakes.clock import FakeClock

BAUDRATE = 2400
BYTE_S = BITS_PER_BYTE / BAUDRATE
SELECTION = bytes.fromhex("680B0B6853FD52785634122440010777") + b"\x16"


class EarlyLine:
    """A line on which one byte comes so many seconds after each request was handed over, whatever that takes."""

    slack_s = 0.0
    slack_guessed = False

    def __init__(self, clock: FakeClock, after_s: float) -> None:
        self.written: list[float] = []
        self._clock = clock
        self._after_s = after_s
        self._due: float | None = None

    def write(self, data: bytes) -> None:
        self.written.append(self._clock.mono())
        self._due = self._clock.mono() + self._after_s

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        until = self._clock.mono() + max(0.0, timeout_s)
        if self._due is None or self._due > until:
            self._clock.advance(until - self._clock.mono())
            return b""
        self._clock.advance(max(0.0, self._due - self._clock.mono()))
        self._due = None
        return b"\xe5"

    def rest(self, seconds: float) -> None:
        self._clock.advance(seconds)

    def purge(self) -> bytes:
        return b""

    def set_baudrate(self, baudrate: int) -> None:
        raise AssertionError("nobody asked for it")


class TricklingLine(EarlyLine):
    """A line on which ``coming`` comes a byte at a time; ``looks``: how often somebody read."""

    def __init__(self, clock: FakeClock, coming: bytes) -> None:
        super().__init__(clock, 0.0)
        self.looks = 0
        self._coming = [(clock.mono() + n * BYTE_S, bytes((byte,))) for n, byte in enumerate(coming, start=1)]

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        self.looks += 1
        until = self._clock.mono() + max(0.0, timeout_s)
        first = min(until, self._coming[0][0] if self._coming else until)
        self._clock.advance(max(0.0, first - self._clock.mono()))
        some = [byte for due, byte in self._coming[:max_bytes] if due <= self._clock.mono()]
        del self._coming[: len(some)]
        return b"".join(some)


def wire_on(line: EarlyLine, clock: FakeClock) -> Wire:
    return Wire(
        line,
        baudrate=BAUDRATE,
        mono=clock.mono,
        serial_timeout_s=5,
        latency_s=0,
        trace=lambda direction, data: None,
        on_stray=lambda data: None,
        tallies=Tallies(),
    )


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 50, 200, 249])
def test_a_frame_is_there_with_its_last_byte_though_it_was_looked_for_a_group_at_a_time(size: int) -> None:
    clock = FakeClock()
    answer = encode(LongFrame(RSP_UD, 1, 0x72, bytes(range(size))))
    line = TricklingLine(clock, answer)
    began = clock.mono()
    assert wire_on(line, clock).next_frame(began + 1, 1) == (answer, 0)
    assert clock.mono() - began == pytest.approx(len(answer) * BYTE_S)
    assert line.looks <= 5 + len(answer) / GROUP_BYTES


@pytest.mark.parametrize("heard", [1, 3, 4, 5, 11, 60, 61, 98])
def test_a_frame_that_breaks_off_is_given_up_at_most_a_group_of_bytes_late(heard: int) -> None:
    clock = FakeClock()
    answer = encode(LongFrame(RSP_UD, 1, 0x72, bytes(90)))
    began = clock.mono()
    with pytest.raises(FrameDamaged, match=f"broke off after {counted(heard, 'byte')}:"):
        wire_on(TricklingLine(clock, answer[:heard]), clock).next_frame(began + 1, 1)
    gap_s = (GAP_BITS + BITS_PER_BYTE) / BAUDRATE + ANSWER_EXTRA_S
    assert 0 <= clock.mono() - began - heard * BYTE_S - gap_s <= GROUP_BYTES * BYTE_S + 1e-9


def test_a_byte_that_comes_while_our_own_request_leaves_does_not_shorten_the_pause_behind_it() -> None:
    clock = FakeClock()
    line = EarlyLine(clock, after_s=0.005)
    wire = wire_on(line, clock)
    sent_mono = wire.send(SELECTION)
    assert wire.next_frame(sent_mono + 1, 1)[0] == b"\xe5"
    wire.send(SELECTION)
    first, second = line.written
    assert second - first >= (len(SELECTION) * BITS_PER_BYTE + IDLE_BITS) / BAUDRATE - 1e-9
