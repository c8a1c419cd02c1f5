"""The silence before a request, counted on a clock that stands still."""
from __future__ import annotations

from mbusgw.mbus.tally import Tallies
from mbusgw.mbus.wire import BITS_PER_BYTE, IDLE_BITS, Wire
from tests.fakes.clock import FakeClock

BAUDRATE = 2400
SELECTION = bytes.fromhex("680B0B6853FD52785634122440010777") + b"\x16"


class EarlyLine:
    """A line on which one byte comes so many seconds after each request was handed over, whatever that takes."""

    slack_s = 0.0

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

    def purge(self) -> bytes:
        return b""

    def set_baudrate(self, baudrate: int) -> None:
        raise AssertionError("nobody asked for it")


def test_a_byte_that_comes_while_our_own_request_leaves_does_not_shorten_the_pause_behind_it() -> None:
    clock = FakeClock()
    line = EarlyLine(clock, after_s=0.005)
    wire = Wire(
        line,
        baudrate=BAUDRATE,
        mono=clock.mono,
        serial_timeout_s=5,
        latency_s=0,
        trace=lambda direction, data: None,
        on_stray=lambda data: None,
        tallies=Tallies(),
    )
    sent_mono = wire.send(SELECTION)
    assert wire.next_frame(sent_mono + 1, 1)[0] == b"\xe5"
    wire.send(SELECTION)
    first, second = line.written
    assert second - first >= (len(SELECTION) * BITS_PER_BYTE + IDLE_BITS) / BAUDRATE - 1e-9
