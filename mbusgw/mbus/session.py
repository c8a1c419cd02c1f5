"""Exchanges with meters over an open port: timing, repeats, frame count bit (EN 13757-2:2018, 5.5 to 5.7).

Reading is driven by length: a frame says in its first four bytes how long it is, so the
last byte ends the wait. A timeout is waited for only where nothing comes.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.frames import (
    ADDRESS_BROADCAST_REPLY,
    FCB,
    REQ_UD2,
    RSP_UD,
    RSP_UD_MASK,
    SND_NKE,
    START_LONG,
    Frame,
    LongFrame,
    ShortFrame,
    SingleCharacter,
    encode,
    expected_length,
    parse,
)
from mbusgw.model.errors import DecodeError, FrameDamaged, FrameUnexpected, LinkError, NoAnswer

BITS_PER_BYTE = 11  # start, eight data, parity, stop
IDLE_BITS = 33  # between an answer and the next request
ANSWER_BITS = 330  # the latest beginning of an answer, and ANSWER_EXTRA_S on top
ANSWER_EXTRA_S = 0.050
GAP_BITS = 22  # the longest pause inside a frame

MAX_TELEGRAMS = 16
LONGEST_FRAME_BYTES = 261
WIRING_HINT = "check wiring and line length; or two meters answer at once"


class Line(Protocol):
    """What a session needs of a port. Everything may raise ``TransportLost``. **own thread**"""

    @property
    def slack_s(self) -> float:
        """How much later than on the wire a byte may reach us."""

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        """What is there as soon as anything is; ``b""`` after the timeout."""

    def write(self, data: bytes) -> None:
        """Sends."""

    def purge(self) -> bytes:
        """Takes away what has come in."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The long frames of one readout, as they came. **immutable**

    ``complete`` is False where the last one announces more records that could not be had.
    """

    frames: tuple[bytes, ...]
    complete: bool = True


@dataclass(slots=True)
class _Link:
    """What we remember of one meter: ``fcb`` of the next request; whether it must be initialised first;
    ``unsure`` after an initialisation that nobody confirmed: the meter may take the request for a repeat;
    ``patience``: how many times the standard's answer window it needs."""

    fcb: bool = True
    reset_due: bool = True
    unsure: bool = False
    patience: int = 1


class Session:
    """The talk over one open port, one exchange at a time. **own thread**

    A session is as old as its port: after reopening, a new one initialises every link anew.
    A meter whose answer comes after the window is given the time it needs from then on: many
    are slower than the standard allows, and a silent one shall not cost as much as they do.
    ``mono`` gives monotonic seconds; ``latency_s`` is added to the answer window (slow
    converters); no wait for a byte is longer than ``serial_timeout_s``. ``echo`` "off"
    takes our own frame coming back for an error, anything else removes it.
    ``trace`` is told every frame: ``"tx"`` or ``"rx"``, and its bytes.
    """

    def __init__(
        self,
        line: Line,
        *,
        baudrate: int,
        mono: Callable[[], float],
        serial_timeout_s: float = 5.0,
        latency_s: float = 0.0,
        echo: str = "auto",
        trace: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._line = line
        self._mono = mono
        self._bit_s = 1 / baudrate
        self._timeout_s = serial_timeout_s
        self._window_s = ANSWER_BITS * self._bit_s + ANSWER_EXTRA_S
        self._late_s = line.slack_s + latency_s
        self._gap_s = min(GAP_BITS * self._bit_s + self._late_s + ANSWER_EXTRA_S, serial_timeout_s)
        self._echo = echo != "off"
        self._trace = trace or (lambda direction, data: None)
        self._links: dict[int, _Link] = {}
        self._unanswered: int | None = None  # who was asked last, in vain,
        self._unanswered_mono = 0.0  # and when that request had been sent
        self._stray = b""  # what came since then
        self._last_byte_mono = mono() - 1

    # -------------------------------------------------- services
    def read_user_data(
        self, address: int, *, repeats: int = 0, reset: bool = False, max_telegrams: int = MAX_TELEGRAMS
    ) -> Answer:
        """REQ_UD2 until no more records follow (DIF 1F).

        The link is initialised (SND_NKE) before the first read over this port and with
        ``reset``. A damaged frame is asked for again at once with the same FCB, up to
        ``repeats`` times. A silent meter is not asked again here: the pause before that
        must not hold the bus. Raises ``NoAnswer``, ``FrameDamaged``, ``FrameUnexpected``, ``TransportLost``.
        """
        link = self._links.setdefault(address, _Link())
        if reset or link.reset_due:
            self._initialise(address, link, repeats)
        frames: list[bytes] = []
        try:
            if link.unsure:  # this answer may be a repeat of one long past; the next is new
                self._next_telegram(address, link, repeats)
                link.unsure = False
            while len(frames) < max_telegrams:
                raw = self._next_telegram(address, link, repeats, started=bool(frames))
                if frames and raw == frames[-1]:  # it sticks to its telegram: the rest cannot be had
                    return Answer(tuple(frames), complete=False)
                frames.append(raw)
                if not _more_records_follow(raw):
                    return Answer(tuple(frames))
            return Answer(tuple(frames), complete=False)
        finally:
            # In the middle of a readout only SND_NKE leads back to the first telegram.
            link.reset_due = bool(frames) and _more_records_follow(frames[-1])

    def request(self, frame: Frame, address: int) -> LongFrame:
        """Sends ``frame``; the answer must be user data (RSP_UD) from ``address``. One try."""
        return parse_long(self._exchange(encode(frame), address, wants_data=True))

    def send(self, frame: Frame, address: int) -> None:
        """Sends ``frame``; the answer must be a plain acknowledgement (E5). One try."""
        self._exchange(encode(frame), address, wants_data=False)

    def look(self) -> None:
        """Between two exchanges: throws away what nobody asked for. Raises ``TransportLost`` if the port has gone."""
        if dropped := self._line.purge():
            self._dropped(dropped)

    # -------------------------------------------------- link layer
    def _initialise(self, address: int, link: _Link, repeats: int) -> None:
        link.reset_due = False
        link.unsure = True
        frame = encode(ShortFrame(SND_NKE, address))
        self._repeat(lambda: self._exchange(frame, address, wants_data=False), repeats, (FrameDamaged, FrameUnexpected))
        link.fcb, link.unsure = True, False

    def _next_telegram(self, address: int, link: _Link, repeats: int, *, started: bool = False) -> bytes:
        frame = encode(ShortFrame(REQ_UD2 | FCB if link.fcb else REQ_UD2, address))
        again = LinkError if started else (FrameDamaged, FrameUnexpected)
        raw = self._repeat(lambda: self._exchange(frame, address, wants_data=True), repeats, again)
        link.fcb = not link.fcb
        return raw

    @staticmethod
    def _repeat(
        exchange: Callable[[], bytes], repeats: int, again: type[LinkError] | tuple[type[LinkError], ...]
    ) -> bytes:
        for _ in range(repeats):
            try:
                return exchange()
            except again:
                continue
        return exchange()

    def _exchange(self, request: bytes, address: int, *, wants_data: bool) -> bytes:
        self._await_idle()
        self._line.write(request)
        self._trace("tx", request)
        sent_mono = self._mono() + len(request) * BITS_PER_BYTE * self._bit_s
        self._last_byte_mono = sent_mono
        patience = self._links.setdefault(address, _Link()).patience
        window_s = min(self._window_s * patience + self._late_s, self._timeout_s)
        return self._await_answer(request, address, wants_data=wants_data, window_s=window_s, sent_mono=sent_mono)

    def _await_answer(
        self, request: bytes, address: int, *, wants_data: bool, window_s: float, sent_mono: float
    ) -> bytes:
        wrong = ""
        noise_bytes = 0
        deadline_mono, limit_mono = sent_mono + window_s, sent_mono + max(window_s, self._timeout_s)
        while True:
            raw, noise = self._next_frame(deadline_mono, address)
            noise_bytes += noise
            if raw is None:
                break
            self._trace("rx", raw)
            # Until then the line was taken, by an echo that was held up or by the late answer of another:
            # a meter has the whole window from the last byte before its own.
            deadline_mono = max(deadline_mono, min(self._last_byte_mono + window_s, limit_mono))
            if raw == request and self._echo:
                continue
            wrong = self._objection(raw, address, wants_data=wants_data)
            if not wrong:
                return raw
            self._heard_late(raw)
        if wrong:
            raise FrameUnexpected(wrong, hint="do two meters share an address, or does one answer too late?")
        if noise_bytes:
            raise FrameDamaged(
                f"{noise_bytes} bytes from address {address} that begin no frame",
                hint="baud rate, parity or wiring may be wrong, or two meters have this address",
            )
        self._unanswered, self._unanswered_mono, self._stray = address, sent_mono, b""
        raise NoAnswer(
            f"no answer from address {address} within {window_s * 1000:.0f} ms",
            hint="is the meter connected, and are its primary address and baud rate right?",
        )

    def _objection(self, raw: bytes, address: int, *, wants_data: bool) -> str:
        """What speaks against taking ``raw`` for the answer; empty if nothing does."""
        try:
            frame = parse(raw)
        except FrameDamaged as error:
            self._await_quiet()
            raise FrameDamaged(
                f"damaged frame from address {address}: {error}",
                hint=WIRING_HINT,
            ) from error
        if not isinstance(frame, LongFrame):
            wanted = wants_data or not isinstance(frame, SingleCharacter)
            return f"address {address} answered {raw.hex(' ')} and sent no data" if wanted else ""
        if frame.control & RSP_UD_MASK != RSP_UD:
            return f"address {address} answered with control field {frame.control:02X}, which is no data"
        if frame.address != address and address != ADDRESS_BROADCAST_REPLY:
            return f"address {frame.address} answered, {address} was asked"
        return "" if wants_data else f"address {address} sent data instead of an acknowledgement"

    # -------------------------------------------------- bytes
    def _next_frame(self, deadline_mono: float, address: int) -> tuple[bytes | None, int]:
        """One whole frame that begins before the deadline, or None; and how many bytes of noise came before it."""
        buffer = bytearray()
        need: int | None = None
        noise = 0
        while need is None or len(buffer) < need:
            until_mono = self._last_byte_mono + self._gap_s if buffer else deadline_mono
            left_s = until_mono - self._mono()
            if not buffer and left_s <= 0 and noise:
                return None, noise  # a line that never falls silent must not hold us
            some = self._line.read((need or (4 if buffer else 1)) - len(buffer), left_s)
            if not some:
                if not buffer:
                    return None, noise
                raise FrameDamaged(
                    f"the frame from address {address} broke off after {len(buffer)} bytes: {_start(buffer)}",
                    hint=WIRING_HINT,
                )
            self._last_byte_mono = self._mono()
            buffer += some
            need, skipped = _frame_length(buffer)
            noise += skipped
        return bytes(buffer), noise

    def _await_idle(self) -> None:
        """33 bit times of silence before a request; late answers and noise are thrown away."""
        limit_mono = self._mono() + self._timeout_s
        idle_s = IDLE_BITS * self._bit_s
        while True:
            if dropped := self._line.purge():
                self._dropped(dropped)
                idle_s = self._quiet_s
            left_s = self._last_byte_mono + idle_s - self._mono()
            if left_s <= 0:
                return
            if self._mono() > limit_mono:
                raise FrameDamaged(
                    f"the line was not quiet for {self._timeout_s:g} s", hint="a meter or converter holds the line"
                )
            if dropped := self._line.read(4096, left_s):
                self._dropped(dropped)
                idle_s = self._quiet_s

    def _dropped(self, data: bytes) -> None:
        self._trace("rx", data)
        self._last_byte_mono = self._mono()
        self._heard_late(data)

    def _heard_late(self, data: bytes) -> None:
        """If ``data`` completes the answer that was given up, its meter gets more time from now on."""
        if self._unanswered is None:
            return
        self._stray = (self._stray + data)[-LONGEST_FRAME_BYTES:]
        try:
            frame = parse(self._stray)
        except FrameDamaged:
            return
        if isinstance(frame, SingleCharacter) or isinstance(frame, LongFrame) and frame.address == self._unanswered:
            link = self._links[self._unanswered]
            link.patience *= 2
            if isinstance(frame, LongFrame):  # names its sender: it began so many windows after the request
                began_s = self._mono() - self._unanswered_mono - len(self._stray) * BITS_PER_BYTE * self._bit_s
                link.patience = max(link.patience, ceil(began_s / self._window_s) + 1)
            self._unanswered = None

    def _await_quiet(self) -> None:
        """After a damaged frame: until its remains have passed, or as long as the longest frame takes."""
        limit_mono = self._mono() + LONGEST_FRAME_BYTES * BITS_PER_BYTE * self._bit_s
        while self._mono() < limit_mono and self._line.read(4096, self._quiet_s):
            self._last_byte_mono = self._mono()

    @property
    def _quiet_s(self) -> float:
        return IDLE_BITS * self._bit_s + self._late_s


def parse_long(raw: bytes) -> LongFrame:
    """``raw`` as a long frame. Raises ``FrameUnexpected`` for any other."""
    frame = parse(raw)
    if not isinstance(frame, LongFrame):
        raise FrameUnexpected(f"{raw.hex(' ')} is no long frame")
    return frame


def _frame_length(buffer: bytearray) -> tuple[int | None, int]:
    """How long the frame in ``buffer`` will be, and how many bytes were dropped because none begins with them."""
    skipped = 0
    while buffer:
        if buffer[0] == START_LONG and len(buffer) < 4:
            return None, skipped  # only the whole of 68 L L 68 tells a frame from noise
        try:
            return expected_length(bytes(buffer)), skipped
        except FrameDamaged:
            del buffer[0]
            skipped += 1
    return None, skipped


def _more_records_follow(raw: bytes) -> bool:
    if 0x1F not in raw:
        return False
    try:
        return decode_frame(raw).more_records_follow
    except DecodeError:  # its reader will say what is wrong with it
        return False


def _start(buffer: bytearray) -> str:
    return bytes(buffer[:12]).hex(" ") + (" …" if len(buffer) > 12 else "")
