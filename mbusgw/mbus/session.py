"""Exchanges with meters over an open port: repeats, frame count bit, slow meters (EN 13757-2:2018, 5.5 to 5.7)."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

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
from mbusgw.mbus.wire import LONGEST_FRAME_BYTES, WIRING_HINT, Line, Wire
from mbusgw.model.errors import DecodeError, FrameDamaged, FrameUnexpected, LinkError, NoAnswer

MAX_TELEGRAMS = 16
SILENCES_MAX = 6  # tries in vain after which a meter's longer window is forgotten
PATIENCE_STEP_MAX = 16  # windows that one late answer can earn: it may have come late through a queue
ACKNOWLEDGEMENT = encode(SingleCharacter())


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
    ``patience``: how many times the standard's answer window it needs; ``silences``: tries in vain
    since it was last heard; ``missed_mono``: when the last
    request had been sent that it has not answered."""

    fcb: bool = True
    reset_due: bool = True
    unsure: bool = False
    patience: int = 1
    missed_mono: float | None = None
    silences: int = 0

    def answered(self) -> None:
        """What comes from it now is no late answer."""
        self.missed_mono, self.silences = None, 0

    def missed(self, sent_mono: float) -> None:
        """It did not answer. One that has gone shall cost the others no more than the standard's window."""
        self.missed_mono = sent_mono
        self.silences += 1
        if self.silences % SILENCES_MAX == 0:
            self.patience = 1


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
        self._trace = trace or (lambda direction, data: None)
        self._wire = Wire(
            line,
            baudrate=baudrate,
            mono=mono,
            serial_timeout_s=serial_timeout_s,
            latency_s=latency_s,
            trace=self._trace,
            on_stray=self._heard_late,
        )
        self._timeout_s = serial_timeout_s
        self._echo = echo != "off"
        self._links: dict[int, _Link] = {}
        self._unanswered: int | None = None  # who was asked last, in vain
        self._stray = b""  # what came since then

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
        self._wire.look()

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
        sent_mono = self._wire.send(request)
        window_s = self._wire.answer_window_s(self._links.setdefault(address, _Link()).patience)
        return self._await_answer(request, address, wants_data=wants_data, window_s=window_s, sent_mono=sent_mono)

    def _await_answer(
        self, request: bytes, address: int, *, wants_data: bool, window_s: float, sent_mono: float
    ) -> bytes:
        wrong = ""
        noise_bytes = 0
        deadline_mono, limit_mono = sent_mono + window_s, sent_mono + max(window_s, self._timeout_s)
        while True:
            raw, noise = self._wire.next_frame(deadline_mono, address)
            noise_bytes += noise
            if raw is None:
                break
            self._trace("rx", raw)
            # Until then the line was taken, by an echo that was held up or by the late answer of another:
            # a meter has the whole window from the last byte before its own.
            deadline_mono = max(deadline_mono, min(self._wire.last_byte_mono + window_s, limit_mono))
            if raw == request and self._echo:
                continue
            wrong = self._objection(raw, address, wants_data=wants_data)
            if not wrong:
                self._links[address].answered()
                return raw
            if raw != ACKNOWLEDGEMENT:  # that one comes from whoever was asked now
                self._heard_late(raw)
        if wrong:
            raise FrameUnexpected(wrong, hint="do two meters share an address, or does one answer too late?")
        if noise_bytes:
            raise FrameDamaged(
                f"{noise_bytes} bytes from address {address} that begin no frame",
                hint="baud rate, parity or wiring may be wrong, or two meters have this address",
            )
        self._unanswered, self._stray = address, b""
        self._links[address].missed(sent_mono)
        raise NoAnswer(
            f"no answer from address {address} within {window_s * 1000:.0f} ms",
            hint="is the meter connected, and are its primary address and baud rate right?",
        )

    def _objection(self, raw: bytes, address: int, *, wants_data: bool) -> str:
        """What speaks against taking ``raw`` for the answer; empty if nothing does."""
        try:
            frame = parse(raw)
        except FrameDamaged as error:
            self._wire.await_quiet()
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

    def _heard_late(self, data: bytes) -> None:
        """If ``data`` completes an answer that was given up, its meter gets more time from now on."""
        self._stray = (self._stray + data)[-LONGEST_FRAME_BYTES:]
        if self._stray == ACKNOWLEDGEMENT and self._unanswered is not None:  # it does not say whose it is
            self._links[self._unanswered].patience *= 2
            self._unanswered = None
        elif (frame := _long_frame_in(self._stray)) is not None:
            self._stray = b""
            link = self._links.get(frame.address)
            if link is not None and link.missed_mono is not None:
                began = self._wire.windows_since(link.missed_mono, len(encode(frame)))
                link.patience = max(link.patience * 2, min(ceil(began) + 1, PATIENCE_STEP_MAX))
                link.answered()
            if frame.address == self._unanswered:
                self._unanswered = None


def parse_long(raw: bytes) -> LongFrame:
    """``raw`` as a long frame. Raises ``FrameUnexpected`` for any other."""
    frame = parse(raw)
    if not isinstance(frame, LongFrame):
        raise FrameUnexpected(f"{raw.hex(' ')} is no long frame")
    return frame


def _long_frame_in(data: bytes) -> LongFrame | None:
    """The first whole long frame in ``data``, wherever it begins."""
    start = data.find(START_LONG)
    while start >= 0:
        try:
            frame = parse(data[start : start + (expected_length(data[start:]) or 0)])
        except FrameDamaged:
            start = data.find(START_LONG, start + 1)
            continue
        return frame if isinstance(frame, LongFrame) else None
    return None


def _more_records_follow(raw: bytes) -> bool:
    if 0x1F not in raw:
        return False
    try:
        return decode_frame(raw).more_records_follow
    except DecodeError:  # its reader will say what is wrong with it
        return False
