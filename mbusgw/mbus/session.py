"""Exchanges with meters over an open port: repeats, frame count bit, slow meters (EN 13757-2:2018, 5.5 to 5.7)."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.frames import (
    ADDRESS_BROADCAST_REPLY,
    ADDRESS_NETWORK_LAYER,
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
from mbusgw.mbus.selection import SELECTION_HINT, select, sender, several, stranger
from mbusgw.mbus.wire import LONGEST_FRAME_BYTES, WIRING_HINT, Line, Wire
from mbusgw.model.address import Address, SecondaryAddress
from mbusgw.model.errors import Collision, DecodeError, FrameDamaged, FrameUnexpected, LinkError, NoAnswer

MAX_TELEGRAMS = 16
SILENCES_MAX = 6  # tries in vain after which a meter's longer window is forgotten
PATIENCE_STEP_MAX = 16  # windows that one late answer can earn: it may have come late through a queue
PRIMARY_HINT = "is the meter connected, and are its primary address and baud rate right?"
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
    since it was last heard; ``missed_mono``: when the last request had been sent that it has not
    answered; ``last``: its last telegram, if it is called by selection."""

    fcb: bool = True
    reset_due: bool = True
    unsure: bool = False
    patience: int = 1
    missed_mono: float | None = None
    silences: int = 0
    last: bytes = b""

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
    A meter with a secondary address is selected before each readout, which ends the selection
    of any other, and what comes is taken only if it says to be from a meter of that address.
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
        self._links: dict[Address, _Link] = {}
        self._found: dict[SecondaryAddress, SecondaryAddress] = {}  # the meter behind an address with open places
        self._unanswered: Address | None = None  # who was asked last, in vain
        self._stray = b""  # what came since then
        self._noise_bytes = 0  # that came before the last answer

    # -------------------------------------------------- services
    def read_user_data(
        self, address: Address, *, repeats: int = 0, reset: bool = False, max_telegrams: int = MAX_TELEGRAMS
    ) -> Answer:
        """REQ_UD2 until no more records follow (DIF 1F).

        The link is initialised (SND_NKE) before the first read over this port and with
        ``reset``. A damaged frame is asked for again at once with the same FCB (the first
        one of a selected meter by a new selection), up to ``repeats`` times. A silent
        meter is not asked again here: the pause before that must not hold the bus.
        Raises ``NoAnswer``, ``FrameDamaged``, ``FrameUnexpected``, ``TransportLost``,
        and ``Collision`` where several meters answer to a secondary address.
        """
        if isinstance(address, SecondaryAddress) and not address.is_exact:
            return self._read_open(address, repeats, reset=reset, max_telegrams=max_telegrams)
        return self._read(address, repeats, reset=reset, max_telegrams=max_telegrams)

    def _read_open(self, address: SecondaryAddress, repeats: int, *, reset: bool, max_telegrams: int) -> Answer:
        """Finds out who fits ``address``, then reads that meter by all of its address.

        Answers of several meters at once may by chance look like a whole frame, so none that
        open places have called forth is taken for more than a name.
        """
        known = self._found.pop(address, None)
        found = known or self._find(address)
        try:
            answer = self._read(found, repeats, reset=reset, max_telegrams=max_telegrams)
        except NoAnswer as error:
            if known is None:
                raise several(address, f"one seemed to be {found}, but there is no such meter") from error
            raise  # it may have been replaced: the next read looks anew
        self._found[address] = found
        return answer

    def _find(self, address: SecondaryAddress) -> SecondaryAddress:
        """The whole address of the meter that fits. Raises ``Collision`` where several do."""
        link = self._links.setdefault(address, _Link())
        self._select(address, link)
        try:
            raw = self._next_telegram(address, link, 0)
        except FrameDamaged as error:
            raise several(address, str(error)) from error
        if more := self._wire.await_idle():
            raise several(address, f"after the answer came {more[:12].hex(' ')}")
        return sender(parse_long(raw), address)

    def _read(self, address: Address, repeats: int, *, reset: bool, max_telegrams: int) -> Answer:
        link = self._links.setdefault(address, _Link())
        reset, link.reset_due = reset or link.reset_due, False
        frames: list[bytes] = []
        try:
            raw = self._first_telegram(address, link, repeats, reset=reset)
            while not frames or raw != frames[-1]:
                frames.append(raw)
                if not _more_records_follow(raw):
                    return Answer(tuple(frames))
                if len(frames) == max_telegrams:
                    break
                raw = self._next_telegram(address, link, repeats, started=True)
            return Answer(tuple(frames), complete=False)  # too long, or it sticks to its telegram
        finally:
            # In the middle of a readout only SND_NKE leads back to the first telegram. And a selected meter whose
            # answer was lost might send the same one as it was then, if it remembers the FCB of its last selection.
            lost = isinstance(address, SecondaryAddress) and not frames
            link.reset_due = lost or bool(frames) and _more_records_follow(frames[-1])

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
    def _first_telegram(self, address: Address, link: _Link, repeats: int, *, reset: bool) -> bytes:
        if isinstance(address, SecondaryAddress):
            return self._first_of_selected(address, link, repeats, reset=reset)
        if reset:
            self._initialise(address, link, repeats)
        return self._first_sure_telegram(address, link, repeats)

    def _first_of_selected(self, address: SecondaryAddress, link: _Link, repeats: int, *, reset: bool) -> bytes:
        """Selects and asks; where that is disturbed, all selections are ended and it begins anew.

        Some meters do not notice that another one was selected, and disturb it until SND_NKE.
        """
        for repeat in range(repeats + 1):
            try:
                self._select(address, link)
                if reset:  # only a selected meter hears SND_NKE, and is not selected any more then
                    link.unsure = not self._deselect(address)
                    self._select(address, link)
                    reset = False
                before = link.last
                raw = self._first_sure_telegram(address, link, 0)
                if raw == before:  # a repeat, from a meter that remembers the FCB of its last selection
                    raw = self._next_telegram(address, link, 0)
                return raw
            except (FrameDamaged, FrameUnexpected, Collision):
                if repeat == repeats:
                    raise
                self._deselect(address)
        raise AssertionError("the last try returns or raises")

    def _select(self, address: SecondaryAddress, link: _Link) -> None:
        """Selects. A meter forgets its last FCB then. Raises ``Collision`` for anything but one acknowledgement."""
        request = encode(select(address))
        sent_mono = self._wire.send(request)
        window_s = self._wire.answer_window_s(link.patience)
        try:
            self._await_answer(request, address, wants_data=False, window_s=window_s, sent_mono=sent_mono)
        except FrameDamaged as error:
            raise several(address, str(error)) from error
        if self._noise_bytes:
            raise several(address, f"{self._noise_bytes} bytes came before the acknowledgement")
        if more := self._wire.await_idle():  # before the next request there must be silence anyway
            raise several(address, f"after the acknowledgement came {more[:12].hex(' ')}")
        link.fcb = True

    def _deselect(self, address: SecondaryAddress) -> bool:
        """Ends every selection (SND_NKE to address 253); whether a meter acknowledged that."""
        try:
            self._exchange(encode(ShortFrame(SND_NKE, ADDRESS_NETWORK_LAYER)), address, wants_data=False)
        except LinkError:
            return False
        return True

    def _initialise(self, address: int, link: _Link, repeats: int) -> None:
        link.unsure = True
        frame = encode(ShortFrame(SND_NKE, address))
        self._repeat(lambda: self._exchange(frame, address, wants_data=False), repeats, (FrameDamaged, FrameUnexpected))
        link.fcb, link.unsure = True, False

    def _first_sure_telegram(self, address: Address, link: _Link, repeats: int) -> bytes:
        """What comes first after an unconfirmed initialisation may be a repeat of a telegram long past."""
        if link.unsure:
            old = b""
            for _ in range(MAX_TELEGRAMS):  # and may stand in the middle of a readout, which must be ended first
                before, old = old, self._next_telegram(address, link, repeats)
                if old == before or not _more_records_follow(old):
                    break
            link.unsure = False
        return self._next_telegram(address, link, repeats)

    def _next_telegram(self, address: Address, link: _Link, repeats: int, *, started: bool = False) -> bytes:
        on_wire = ADDRESS_NETWORK_LAYER if isinstance(address, SecondaryAddress) else address
        frame = encode(ShortFrame(REQ_UD2 | FCB if link.fcb else REQ_UD2, on_wire))
        again = LinkError if started else (FrameDamaged, FrameUnexpected)
        raw = self._repeat(lambda: self._exchange(frame, address, wants_data=True), repeats, again)
        link.fcb = not link.fcb
        if on_wire != address:
            link.last = raw
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

    def _exchange(self, request: bytes, address: Address, *, wants_data: bool) -> bytes:
        sent_mono = self._wire.send(request)
        window_s = self._wire.answer_window_s(self._links.setdefault(address, _Link()).patience)
        return self._await_answer(request, address, wants_data=wants_data, window_s=window_s, sent_mono=sent_mono)

    def _await_answer(
        self, request: bytes, address: Address, *, wants_data: bool, window_s: float, sent_mono: float
    ) -> bytes:
        wrong = ""
        self._noise_bytes = 0
        deadline_mono, limit_mono = sent_mono + window_s, sent_mono + max(window_s, self._timeout_s)
        while True:
            raw, noise = self._wire.next_frame(deadline_mono, address)
            self._noise_bytes += noise
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
        if self._noise_bytes:
            raise FrameDamaged(
                f"{self._noise_bytes} bytes from address {address} that begin no frame",
                hint="baud rate, parity or wiring may be wrong, or two meters have this address",
            )
        self._unanswered, self._stray = address, b""
        self._links[address].missed(sent_mono)
        raise NoAnswer(
            f"no answer from address {address} within {window_s * 1000:.0f} ms",
            hint=SELECTION_HINT if isinstance(address, SecondaryAddress) else PRIMARY_HINT,
        )

    def _objection(self, raw: bytes, address: Address, *, wants_data: bool) -> str:
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
        if isinstance(address, SecondaryAddress):
            if wrong := stranger(frame, address):
                return wrong
        elif frame.address != address and address != ADDRESS_BROADCAST_REPLY:
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
            whose = self._whose(frame)
            link = self._links.get(whose)
            if link is not None and link.missed_mono is not None:
                began = self._wire.windows_since(link.missed_mono, len(encode(frame)))
                link.patience = max(link.patience * 2, min(ceil(began) + 1, PATIENCE_STEP_MAX))
                link.answered()
            if whose == self._unanswered:
                self._unanswered = None

    def _whose(self, frame: LongFrame) -> Address:
        """Who was asked, and sent ``frame`` too late; a selected meter may answer under its primary address."""
        late = [address for address, link in self._links.items() if link.missed_mono is not None]
        selected = (address for address in late if isinstance(address, SecondaryAddress))
        if frame.address in late:
            return frame.address
        return next((address for address in selected if not stranger(frame, address)), frame.address)


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
