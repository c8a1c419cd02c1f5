"""One request and its answer over an open port; learns which meters are slow (EN 13757-2:2018, 5.7)."""
from __future__ import annotations

from collections.abc import Callable

from mbusgw.mbus.frames import (
    ADDRESS_BROADCAST_REPLY,
    RSP_UD,
    RSP_UD_MASK,
    START_LONG,
    LongFrame,
    SingleCharacter,
    encode,
    expected_length,
    parse,
)
from mbusgw.mbus.pace import Pace
from mbusgw.mbus.selection import SELECTION_HINT, stranger
from mbusgw.mbus.tally import Tallies, Tally
from mbusgw.mbus.wire import LONGEST_FRAME_BYTES, WIRING_HINT, Line, Wire
from mbusgw.model.address import Address, SecondaryAddress
from mbusgw.model.errors import FrameDamaged, FrameUnexpected, NoAnswer
from mbusgw.model.wording import counted

PRIMARY_HINT = "is the meter connected, and are its primary address and baud rate right?"
SHARED_HINT = "do two meters share an address, or does one answer too late?"
REPLACED_HINT = "do two meters share the address? was the meter replaced? then `meter` in the configuration must change"
ACKNOWLEDGEMENT = encode(SingleCharacter())


class Exchange:
    """Asks one meter at a time and takes only what answers that question. **own thread**

    A meter whose answer comes after the window is given the time it needs from then on: many
    are slower than the standard allows, and a silent one shall not cost as much as they do.
    The arguments are those of ``Session``.
    """

    def __init__(
        self,
        line: Line,
        *,
        baudrate: int,
        mono: Callable[[], float],
        serial_timeout_s: float,
        latency_s: float,
        echo: str,
        trace: Callable[[str, bytes], None],
        tallies: Tallies,
    ) -> None:
        self._trace = trace
        self._tallies = tallies
        self._baudrate = baudrate
        self._wire = Wire(
            line,
            baudrate=baudrate,
            mono=mono,
            serial_timeout_s=serial_timeout_s,
            latency_s=latency_s,
            trace=trace,
            on_stray=self._heard_late,
            tallies=tallies,
        )
        self._timeout_s = serial_timeout_s
        self._echo = echo != "off"
        self._paces: dict[Address, Pace] = {}
        self._paces_at = {baudrate: self._paces}  # at another speed an address is another meter's
        self._unanswered: Address | None = None  # who was asked last, in vain
        self._stray = b""  # what came since then
        self._noise_bytes = 0

    @property
    def noise_bytes(self) -> int:
        """How many bytes that begin no frame came before the last answer."""
        return self._noise_bytes

    def set_baudrate(self, baudrate: int) -> None:
        """The speed of the next exchanges. Raises ``TransportOpenFailed`` where the port cannot change it."""
        self._wire.set_baudrate(baudrate)
        self._baudrate = baudrate
        self._paces = self._paces_at.setdefault(baudrate, {})
        self._unanswered = None

    def tally(self, address: Address) -> Tally:
        """What is counted of ``address`` at this speed."""
        return self._tallies.of(self._baudrate, address)

    def look(self) -> None:
        """Between two exchanges: throws away what nobody asked for. Raises ``TransportLost`` if the port has gone."""
        self._wire.look()

    def await_idle(self) -> bytes:
        """Waits for the silence that must precede a request; what came before it."""
        return self._wire.await_idle()

    def await_late(self, seconds: float) -> None:
        """Gives whoever was asked just now, in vain, so much time after the request.

        A late answer tells how slow its meter is, and comes into no other one's.
        """
        until_mono = self._wire.last_byte_mono + seconds
        while self._unanswered is not None and self._wire.overhear(until_mono):
            pass

    def hear(self, request: bytes, *, patience: int = 1, enough: bytes = b"") -> tuple[bytes, bytes]:
        """Sends ``request`` and judges nothing: what came before it unasked, and everything that came after it.

        For a search, where every answer tells something, damaged ones too. ``patience``: how many of the
        standard's windows are waited; nothing more is, once exactly ``enough`` has come. Raises ``FrameDamaged``
        only where the line does not fall silent.
        """
        before = self._wire.await_idle()
        sent_mono = self._wire.send(request)
        self._unanswered, self._stray = None, b""
        window_s = self._wire.answer_window_s(patience)
        heard = self._wire.listen(sent_mono + window_s, echo=request if self._echo else b"", enough=enough)
        if heard:
            self._trace("rx", heard)
        return before, heard

    def ask(
        self, request: bytes, address: Address, *, wants_data: bool, meter: SecondaryAddress | None = None
    ) -> bytes:
        """Sends ``request``; the answer of ``address``: user data (RSP_UD), or without ``wants_data`` an E5. One try.

        Data must come from ``meter``, if one is named: a primary address may have come to another one.
        Raises ``NoAnswer``, ``FrameDamaged``, ``FrameUnexpected``, ``TransportLost``.
        """
        sent_mono = self._wire.send(request)
        window_s = self._wire.answer_window_s(self._paces.setdefault(address, Pace()).patience)
        tally = self.tally(address)
        tally.requests += 1
        answer = self._await_answer(
            request, address, wants_data=wants_data, meter=meter, window_s=window_s, sent_mono=sent_mono, tally=tally
        )
        delay_s = self._wire.answer_delay_s(sent_mono, len(answer))
        self._paces[address].answered(in_time=delay_s <= self._wire.answer_window_s(1), data=wants_data)
        tally.answers += 1
        tally.delays_s.append(delay_s)
        return answer

    def _await_answer(
        self,
        request: bytes,
        address: Address,
        *,
        wants_data: bool,
        meter: SecondaryAddress | None,
        window_s: float,
        sent_mono: float,
        tally: Tally,
    ) -> bytes:
        wrong = ""
        self._noise_bytes = 0
        deadline_mono, limit_mono = sent_mono + window_s, sent_mono + max(window_s, self._timeout_s)
        while True:
            try:
                raw, noise = self._wire.next_frame(deadline_mono, address)
            except FrameDamaged:
                tally.broken_off += 1
                raise
            self._noise_bytes += noise
            tally.noise_bytes += noise
            if raw is None:
                break
            self._trace("rx", raw)
            # Until then the line was taken, by an echo that was held up or by the late answer of another:
            # a meter has the whole window from the last byte before its own.
            deadline_mono = max(deadline_mono, min(self._wire.last_byte_mono + window_s, limit_mono))
            if raw == request and self._echo:
                self._tallies.echoes += 1
                continue
            try:
                wrong = self._objection(raw, address, wants_data=wants_data, meter=meter)
            except FrameDamaged:
                tally.damaged += 1
                raise
            if not wrong:
                return raw
            if raw != ACKNOWLEDGEMENT:  # that one comes from whoever was asked now
                self._heard_late(raw)
        if wrong:
            tally.unexpected += 1
            tally.last_unexpected = wrong
            raise FrameUnexpected(wrong, hint=SHARED_HINT if meter is None else REPLACED_HINT)
        if self._noise_bytes:
            tally.garbage += 1
            of_whom = f"from address {address} that begin"
            raise FrameDamaged(
                counted(self._noise_bytes, f"byte {of_whom}s no frame", f"bytes {of_whom} no frame"),
                hint="baud rate, parity or wiring may be wrong, or two meters have this address",
            )
        self._unanswered, self._stray = address, b""
        self._paces[address].missed(sent_mono)
        tally.timeouts += 1
        raise NoAnswer(
            f"no answer from address {address} within {window_s * 1000:.0f} ms",
            hint=SELECTION_HINT if isinstance(address, SecondaryAddress) else PRIMARY_HINT,
        )

    def _objection(
        self, raw: bytes, address: Address, *, wants_data: bool, meter: SecondaryAddress | None
    ) -> str:
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
        elif meter is not None and (wrong := stranger(frame, meter)):
            return f"at address {address} {wrong}"
        return "" if wants_data else f"address {address} sent data instead of an acknowledgement"

    def _heard_late(self, data: bytes) -> None:
        """If ``data`` completes an answer that was given up, its meter gets more time from now on."""
        self._stray = (self._stray + data)[-LONGEST_FRAME_BYTES:]
        if self._stray == ACKNOWLEDGEMENT and self._unanswered is not None:  # it does not say whose it is
            self._paces[self._unanswered].late()
            self.tally(self._unanswered).late += 1
            self._unanswered = None
        elif (frame := _long_frame_in(self._stray)) is not None:
            self._stray = b""
            whose = self._whose(frame)
            pace = self._paces.get(whose)
            if pace is not None and pace.missed_mono is not None:
                began = self._wire.windows_since(pace.missed_mono, len(encode(frame)))
                pace.late(began)
                self.tally(whose).late += 1
            if whose == self._unanswered:
                self._unanswered = None

    def _whose(self, frame: LongFrame) -> Address:
        """Who was asked, and sent ``frame`` too late; a selected meter may answer under its primary address."""
        late = [address for address, pace in self._paces.items() if pace.missed_mono is not None]
        selected = (address for address in late if isinstance(address, SecondaryAddress))
        if frame.address in late:
            return frame.address
        return next((address for address in selected if not stranger(frame, address)), frame.address)


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
