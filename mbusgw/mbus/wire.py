"""The bytes on one M-Bus segment: silence before a request, whole frames out of what comes in (EN 13757-2:2018, 5.5).

Reading is driven by length: a frame says in its first four bytes how long it is, so the
last byte ends the wait. A timeout is waited for only where nothing comes. What cannot be
the last byte yet need wake nobody: such bytes are taken a group at a time, which costs a
processor a fifth and the wire nothing.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mbusgw.mbus.frames import START_LONG, expected_length, parse
from mbusgw.mbus.promptness import Promptness
from mbusgw.mbus.tally import Tallies
from mbusgw.model.address import Address
from mbusgw.model.errors import FrameDamaged
from mbusgw.model.wording import counted

BITS_PER_BYTE = 11  # start, eight data, parity, stop
IDLE_BITS = 33  # between an answer and the next request
ANSWER_BITS = 330  # the latest beginning of an answer, and ANSWER_EXTRA_S on top
ANSWER_EXTRA_S = 0.050
GAP_BITS = 22  # the longest pause inside a frame

LONGEST_FRAME_BYTES = 261
GROUP_BYTES = 8  # of a frame whose length is known, so many are let come in before they are looked at
WIRING_HINT = "check wiring and line length; or two meters answer at once"


class Line(Protocol):
    """What is needed of a port. Everything may raise ``TransportLost``. **own thread**"""

    @property
    def slack_s(self) -> float:
        """How much later than on the wire a byte may reach us."""

    @property
    def slack_guessed(self) -> bool:
        """Nobody knows that of this port; ``slack_s`` is what the worst ones take."""

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        """What is there as soon as anything is; ``b""`` after the timeout."""

    def rest(self, seconds: float) -> None:
        """Lets bytes come in for so long, whatever comes."""

    def write(self, data: bytes) -> None:
        """Sends."""

    def purge(self) -> bytes:
        """Takes away what has come in."""

    def set_baudrate(self, baudrate: int) -> None:
        """The speed from now on. Raises ``TransportOpenFailed`` where it cannot be changed; it is as before then."""


class Wire:
    """Sends requests and picks whole frames out of what comes back, in the time the standard gives. **own thread**

    ``mono`` gives monotonic seconds; ``latency_s`` is added to the answer window (slow converters); no wait for
    a byte is longer than ``serial_timeout_s``. ``trace`` is told what was sent and thrown away (``"tx"``, ``"rx"``),
    ``on_stray`` what came in while nobody was asked. Everything may raise ``TransportLost``.
    """

    def __init__(
        self,
        line: Line,
        *,
        baudrate: int,
        mono: Callable[[], float],
        serial_timeout_s: float,
        latency_s: float,
        trace: Callable[[str, bytes], None],
        on_stray: Callable[[bytes], None],
        tallies: Tallies,
    ) -> None:
        self._line = line
        self._tallies = tallies
        self._mono = mono
        self._timeout_s = serial_timeout_s
        self._latency_s = latency_s
        self._promptness_at: dict[int, Promptness] = {}
        self._trace = trace
        self._on_stray = on_stray
        self._last_byte_mono = mono()  # what passed before we listened, nobody knows
        self._follow(baudrate)

    @property
    def last_byte_mono(self) -> float:
        """When the last byte passed, in either direction."""
        return self._last_byte_mono

    def answer_window_s(self, patience: int) -> float:
        """How long after a request the first byte of an answer may come; ``patience`` times what the standard allows.

        What begins at the end of the window is heard when that byte is complete.
        """
        return min(self._window_s * patience + BITS_PER_BYTE * self._bit_s + self._late_s, self._timeout_s)

    def answer_delay_s(self, sent_mono: float, answer_bytes: int) -> float:
        """How long after ``sent_mono`` an answer began whose last byte came just now."""
        return max(0.0, self._last_byte_mono - sent_mono - answer_bytes * BITS_PER_BYTE * self._bit_s)

    def windows_since(self, sent_mono: float, answer_bytes: int) -> float:
        """How many of the standard's windows after ``sent_mono`` an answer began that is complete now."""
        return (self._mono() - sent_mono - answer_bytes * BITS_PER_BYTE * self._bit_s) / self._window_s

    def set_baudrate(self, baudrate: int) -> None:
        """Port and times follow. Raises ``TransportOpenFailed`` where the port cannot; all is as before then."""
        sent_mono = self._last_byte_mono  # what is still on its way out leaves at the old speed
        while (left_s := sent_mono - self._mono()) > 0:
            if dropped := self._line.read(4096, left_s):
                self._dropped(dropped)
        self.look()
        self._line.set_baudrate(baudrate)
        self._follow(baudrate)

    def _follow(self, baudrate: int) -> None:
        self._bit_s = 1 / baudrate
        byte_s = BITS_PER_BYTE * self._bit_s
        fresh = Promptness(self._line.slack_s, guessed=self._line.slack_guessed, byte_s=byte_s)
        self._promptness = self._promptness_at.setdefault(baudrate, fresh)
        self._reckon()

    def _reckon(self) -> None:
        """The times that follow from the speed and from how late bytes come."""
        self._late_s = self._promptness.slack_s + self._latency_s
        self._quiet_s = IDLE_BITS * self._bit_s + self._late_s
        self._window_s = ANSWER_BITS * self._bit_s + ANSWER_EXTRA_S
        gap_s = (GAP_BITS + BITS_PER_BYTE) * self._bit_s  # from one byte's end to the next one's
        self._gap_s = min(gap_s + self._late_s + ANSWER_EXTRA_S, self._timeout_s)

    def send(self, request: bytes) -> float:
        """Sends after 33 bit times of silence; returns when the last bit will have left.

        Raises ``FrameDamaged`` when the line does not fall silent.
        """
        self.await_idle()
        self._line.write(request)
        self._trace("tx", request)
        self._last_byte_mono = self._mono() + len(request) * BITS_PER_BYTE * self._bit_s
        return self._last_byte_mono

    def look(self) -> None:
        """Throws away what nobody asked for."""
        if dropped := self._line.purge():
            self._dropped(dropped)

    def next_frame(self, deadline_mono: float, address: Address) -> tuple[bytes | None, int]:
        """One whole frame that begins before the deadline, or None; and how many bytes of noise came before it.

        Raises ``FrameDamaged`` when it breaks off, which is noticed a group of bytes late at most; ``address`` is
        who was asked.
        """
        buffer = bytearray()
        need: int | None = None
        noise = bytearray()
        while need is None or len(buffer) < need:
            until_mono = self._last_byte_mono + self._gap_s if buffer else deadline_mono
            left_s = until_mono - self._mono()
            if not buffer and left_s <= 0 and noise:
                return self._no_frame(noise)  # a line that never falls silent must not hold us
            some = self._line.read(_missing(buffer, need), left_s)
            if not some:
                if not buffer:
                    return self._no_frame(noise)
                self._trace("rx", bytes(noise + buffer))
                length = counted(len(buffer), "byte")
                raise FrameDamaged(
                    f"the frame from address {address} broke off after {length}: {_start(buffer)}",
                    hint=WIRING_HINT,
                )
            self._heard(len(some))
            buffer += some
            need, skipped = _frame_length(buffer)
            noise += skipped
            if buffer:
                self._let_come(_missing(buffer, need))
        if noise:
            self._trace("rx", bytes(noise))
        return bytes(buffer), len(noise)

    def _let_come(self, missing_bytes: int) -> None:
        """Leaves bytes that are on their way alone, but the last: that one is waited for."""
        group = min(GROUP_BYTES, missing_bytes - 1)
        if group > 0 and not self._promptness.is_open:
            self._line.rest(group * BITS_PER_BYTE * self._bit_s)

    def _no_frame(self, noise: bytearray) -> tuple[None, int]:
        if noise:
            self._trace("rx", bytes(noise))
        return None, len(noise)

    def listen(self, deadline_mono: float, *, echo: bytes = b"", enough: bytes = b"") -> bytes:
        """Everything that comes, without judging it; what begins before the deadline is heard to its end.

        ``echo`` is taken away where it comes first, and the window begins anew. After ``enough`` nothing
        more is waited for. A line that never falls silent is left after the time of two frames.
        """
        heard = bytearray()
        window_s = deadline_mono - self._last_byte_mono
        limit_mono = deadline_mono + 2 * LONGEST_FRAME_BYTES * BITS_PER_BYTE * self._bit_s
        while True:
            pause_s = 0.0
            if heard:
                if bytes(heard) == enough:
                    break
                pause_s = self._quiet_s if _is_frame(heard) else self._gap_s
            left_s = max(deadline_mono, self._last_byte_mono + pause_s) - self._mono()
            if left_s <= 0 or self._mono() > limit_mono:
                break
            if some := self._line.read(4096, left_s):
                self._heard(len(some))
                heard += some
                if echo and heard.startswith(echo):
                    del heard[: len(echo)]
                    echo, deadline_mono = b"", max(deadline_mono, self._last_byte_mono + window_s)
        return bytes(heard)

    def overhear(self, until_mono: float) -> bool:
        """Takes what comes before then as something that nobody asked for; whether anything came."""
        some = self._line.read(4096, until_mono - self._mono())
        if some:
            self._dropped(some)
        return bool(some)

    def await_quiet(self) -> None:
        """After a damaged frame: until its remains have passed, or as long as the longest frame takes."""
        limit_mono = self._mono() + LONGEST_FRAME_BYTES * BITS_PER_BYTE * self._bit_s
        while self._mono() < limit_mono and (rest := self._line.read(4096, self._quiet_s)):
            self._trace("rx", rest)
            self._heard(len(rest))

    def await_idle(self) -> bytes:
        """33 bit times of silence before a request; what came until then, late answers and noise, is thrown away.

        Returns it. Raises ``FrameDamaged`` when the line does not fall silent.
        """
        limit_mono = self._mono() + self._timeout_s
        idle_s = IDLE_BITS * self._bit_s
        came = b""
        while True:
            if dropped := self._line.purge():
                self._dropped(dropped)
                idle_s, came = self._quiet_s, came + dropped
            left_s = self._last_byte_mono + idle_s - self._mono()
            if left_s <= 0:
                return came
            if self._mono() > limit_mono:
                self._tallies.never_quiet += 1
                raise FrameDamaged(
                    f"the line was not quiet for {self._timeout_s:g} s", hint="a meter or converter holds the line"
                )
            if dropped := self._line.read(4096, left_s):
                self._dropped(dropped)
                idle_s, came = self._quiet_s, came + dropped

    def _heard(self, count: int) -> None:
        """Bytes have come: now, or while our own request is still on its way out, whose end then counts."""
        now_mono = self._mono()
        self._last_byte_mono = max(self._last_byte_mono, now_mono)
        if self._promptness.came(now_mono, count):
            self._reckon()

    def _dropped(self, data: bytes) -> None:
        self._trace("rx", data)
        self._heard(len(data))
        self._tallies.stray_bytes += len(data)
        self._on_stray(data)


def _missing(buffer: bytearray, need: int | None) -> int:
    """How many bytes the frame, or the part of it that tells its length, still has to come."""
    return (need or (4 if buffer else 1)) - len(buffer)


def _frame_length(buffer: bytearray) -> tuple[int | None, bytes]:
    """How long the frame in ``buffer`` will be, and the bytes that were dropped because none begins with them."""
    skipped = b""
    while buffer:
        if buffer[0] == START_LONG and len(buffer) < 4:
            return None, skipped  # only the whole of 68 L L 68 tells a frame from noise
        try:
            return expected_length(bytes(buffer)), skipped
        except FrameDamaged:
            skipped += buffer[:1]
            del buffer[0]
    return None, skipped


def _is_frame(heard: bytearray) -> bool:
    try:
        parse(bytes(heard))
    except FrameDamaged:
        return False
    return True


def _start(buffer: bytearray) -> str:
    return bytes(buffer[:12]).hex(" ") + (" …" if len(buffer) > 12 else "")
