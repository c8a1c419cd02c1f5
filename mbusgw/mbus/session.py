"""Readouts over an open port: repeats, frame count bit, selection (EN 13757-2:2018, 5.5 to 5.7)."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mbusgw.mbus.decode import decode_frame, is_application_error
from mbusgw.mbus.exchange import Exchange
from mbusgw.mbus.frames import (
    ADDRESS_BROADCAST,
    ADDRESS_BROADCAST_REPLY,
    ADDRESS_NETWORK_LAYER,
    CI_BAUDRATE,
    FCB,
    REQ_UD2,
    RSP_UD,
    RSP_UD_MASK,
    SND_NKE,
    SND_UD,
    Frame,
    LongFrame,
    ShortFrame,
    encode,
    parse,
)
from mbusgw.mbus.link import Constant, Known, Link, is_older, same_telegram
from mbusgw.mbus.selection import select, sender, several
from mbusgw.mbus.tally import Tallies
from mbusgw.mbus.wire import Line
from mbusgw.model.address import Address, SecondaryAddress
from mbusgw.model.errors import (
    Collision,
    DecodeError,
    FrameDamaged,
    FrameUnexpected,
    LinkError,
    NoAnswer,
    TransportLost,
    TransportOpenFailed,
)

MAX_TELEGRAMS = 16
#: The addresses that every meter hears.
EVERYBODY = (ADDRESS_BROADCAST_REPLY, ADDRESS_BROADCAST)


@dataclass(frozen=True, slots=True)
class Answer:
    """The long frames of one readout, as they came. **immutable**

    ``complete`` is False where the last one announces more records that could not be had.
    """

    frames: tuple[bytes, ...]
    complete: bool = True


class Session:
    """The talk over one open port, one exchange at a time. **own thread**

    A session is as old as its port: after reopening, a new one initialises every link anew; ``constant`` may go
    over to it.
    A meter with a secondary address is selected before each readout, which ends the selection
    of any other, and what comes is taken only if it says to be from a meter of that address.
    ``mono`` gives monotonic seconds; ``latency_s`` is added to the answer window (slow
    converters); no wait for a byte is longer than ``serial_timeout_s``. ``echo`` "off"
    takes our own frame coming back for an error, anything else removes it.
    ``trace`` is told every frame: ``"tx"`` or ``"rx"``, and its bytes; ``tallies`` count what happens.
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
        tallies: Tallies | None = None,
        constant: Constant | None = None,
    ) -> None:
        self._exchange = Exchange(
            line,
            baudrate=baudrate,
            mono=mono,
            serial_timeout_s=serial_timeout_s,
            latency_s=latency_s,
            echo=echo,
            trace=trace or (lambda direction, data: None),
            tallies=tallies or Tallies(),
        )
        self._baudrate = baudrate
        self._constant: Constant = {} if constant is None else constant
        self._known_at: dict[int, Known] = {}
        self._known = self._known_of(baudrate)

    # -------------------------------------------------- speed
    @property
    def baudrate(self) -> int:
        """At what speed it talks now."""
        return self._baudrate

    @contextmanager
    def at(self, baudrate: int) -> Iterator[None]:
        """Inside, port and times are those of ``baudrate``; afterwards they are again what they were.

        At another speed an address is another meter's, so nothing that is known of one is used for the other.
        Raises ``TransportOpenFailed`` where the port cannot change its speed, and ``TransportLost`` where it
        could not be given its own back.
        """
        before = self._baudrate
        self._set_baudrate(baudrate)
        try:
            yield
        finally:
            try:
                self._set_baudrate(before)
            except TransportOpenFailed as error:
                raise TransportLost(f"the port does not go back to {before} baud: {error}") from error

    def _set_baudrate(self, baudrate: int) -> None:
        if baudrate != self._baudrate:
            self._exchange.set_baudrate(baudrate)
            self._baudrate = baudrate
            self._known = self._known_of(baudrate)

    def _known_of(self, baudrate: int) -> Known:
        return self._known_at.setdefault(baudrate, Known(self._constant.setdefault(baudrate, set())))

    # -------------------------------------------------- services
    def read_user_data(
        self,
        address: Address,
        *,
        repeats: int = 0,
        reset: bool = False,
        max_telegrams: int = MAX_TELEGRAMS,
        meter: SecondaryAddress | None = None,
    ) -> Answer:
        """REQ_UD2 until no more records follow (DIF 1F).

        The link is initialised (SND_NKE) before the first read over this port and with
        ``reset``. A damaged frame is asked for again at once with the same FCB (the first
        one of a selected meter by a new selection), up to ``repeats`` times. A silent
        meter is not asked again here: the pause before that must not hold the bus.
        Where ``meter`` is known to be at a primary address, what another one answers is refused.
        Raises ``NoAnswer``, ``FrameDamaged``, ``FrameUnexpected``, ``TransportLost``,
        and ``Collision`` where several meters answer to a secondary address.
        """
        if isinstance(address, SecondaryAddress) and not address.is_exact:
            return self._read_open(address, repeats, reset=reset, max_telegrams=max_telegrams)
        self._known.link(address).meter = meter
        return self._read(address, repeats, reset=reset, max_telegrams=max_telegrams)

    def _read_open(self, address: SecondaryAddress, repeats: int, *, reset: bool, max_telegrams: int) -> Answer:
        """Finds out who fits ``address``, then reads that meter by all of its address.

        Answers of several meters at once may by chance look like a whole frame, so none that
        open places have called forth is taken for more than a name.
        """
        known = self._known.found.pop(address, None)
        found = known or self._find(address)
        try:
            answer = self._read(found, repeats, reset=reset, max_telegrams=max_telegrams)
        except NoAnswer as error:
            if known is None:
                raise self._collision(address, f"one seemed to be {found}, but there is no such meter") from error
            raise  # it may have been replaced: the next read looks anew
        self._known.found[address] = found
        return answer

    def _find(self, address: SecondaryAddress) -> SecondaryAddress:
        """The whole address of the meter that fits. Raises ``Collision`` where several do."""
        link = self._known.link(address)
        self._select(address, link)
        try:
            raw = self._next_telegram(address, link, 0)
        except FrameDamaged as error:
            self._known.disturb()
            raise self._collision(address, str(error)) from error
        if more := self._exchange.await_idle():
            self._known.disturb()
            raise self._collision(address, f"after the answer came {more[:12].hex(' ')}")
        return sender(parse_long(raw), address)

    def _read(self, address: Address, repeats: int, *, reset: bool, max_telegrams: int) -> Answer:
        link = self._known.link(address)
        if address in EVERYBODY:
            self._known.disturb(but=address)
        reset, link.reset_due = reset or link.reset_due, False
        frames: list[bytes] = []
        try:
            raw = self._first_telegram(address, link, repeats, reset=reset)
            while not any(same_telegram(raw, frame) for frame in frames):
                frames.append(raw)
                if not _more_records_follow(raw):
                    return Answer(tuple(frames))
                if len(frames) == max_telegrams:
                    break
                raw = self._next_telegram(address, link, repeats, started=True)
            return Answer(tuple(frames), complete=False)  # too long, or it goes round in circles
        finally:
            # In the middle of a readout only SND_NKE leads back to the first telegram. And a selected meter whose
            # answer was lost might send the same one as it was then, if it remembers the FCB of its last selection.
            lost = isinstance(address, SecondaryAddress) and not frames
            if isinstance(address, SecondaryAddress) and frames:
                self._known.disturb_at(parse_long(frames[-1]).address)
            link.reset_due = lost or bool(frames) and _breaks_off(frames[-1])

    def request(self, frame: Frame, address: int) -> LongFrame:
        """Sends ``frame``; the answer must be user data (RSP_UD) from ``address``. One try."""
        return parse_long(self._exchange.ask(encode(frame), address, wants_data=True))

    def send(self, frame: Frame, address: int) -> None:
        """Sends ``frame``; the answer must be a plain acknowledgement (E5). One try."""
        self._exchange.ask(encode(frame), address, wants_data=False)

    def switch_baudrate(self, address: Address, baudrate: int) -> None:
        """Asks a meter to talk at ``baudrate`` from now on; it acknowledges at the speed of the session. One try.

        A meter goes back to its own speed when nobody speaks to it at the new one for a while (EN 13757-3, 6: two
        to ten minutes; some after half a minute). Raises ``LinkError``; a meter that cannot is silent.
        """
        self._instruct(address, self._known.link(address), CI_BAUDRATE[baudrate], b"", 0)

    def instruct(self, address: Address, ci: int, data: bytes = b"", *, repeats: int = 0) -> None:
        """SND_UD: tells a meter something; it acknowledges, and its link is initialised before the next read.

        What was lost is sent again with the same FCB, up to ``repeats`` times, so that it is not obeyed twice.
        Raises ``LinkError`` (a meter that does not understand is silent), ``TransportLost``.
        """
        link = self._known.link(address)
        if link.reset_due and not isinstance(address, SecondaryAddress):
            try:
                self._initialise(address, link, repeats)
            except LinkError:  # it need not know that to obey
                pass
        self._instruct(address, link, ci, data, repeats)

    def forget(self, address: int) -> None:
        """Another meter may be at this address from now on: its link is initialised anew."""
        self._known.forget(address)

    def rest(self) -> bytes:
        """Waits for the silence between two exchanges; what came before it, after the last answer."""
        return self._exchange.await_idle()

    def hear(self, frame: Frame, *, patience: int = 1, enough: bytes = b"") -> tuple[bytes, bytes]:
        """Sends ``frame``; what came before it unasked, and all that came after it (``Exchange.hear``)."""
        return self._exchange.hear(encode(frame), patience=patience, enough=enough)

    def knock(self, address: int, *, patience: int = 1, again: bool = False) -> tuple[bytes, bytes]:
        """REQ_UD2 to a primary address of which nothing is expected; as ``hear``. ``again``: for the next telegram.

        Whoever reads the meter there goes on undisturbed: the request has the FCB that is due, and where the answer
        does not tell what the meter thinks now, its link is initialised before the next read.
        """
        link = self._known.links.get(address)
        fcb = not again if link is None else link.fcb
        before, heard = self.hear(ShortFrame(REQ_UD2 | FCB if fcb else REQ_UD2, address), patience=patience)
        if link is not None:
            if is_answer(heard, address) and not _more_records_follow(heard):
                link.fcb = not fcb
            else:
                link.reset_due = True
        return before, heard

    def look(self) -> None:
        """Between two exchanges: throws away what nobody asked for. Raises ``TransportLost`` if the port has gone."""
        self._exchange.look()

    # -------------------------------------------------- link layer
    def _instruct(self, address: Address, link: Link, ci: int, data: bytes, repeats: int) -> None:
        if address in EVERYBODY:
            self._known.disturb()
        link.reset_due = True  # whether it counts this among the requests, only an initialisation settles
        on_wire = ADDRESS_NETWORK_LAYER if isinstance(address, SecondaryAddress) else address
        if isinstance(address, SecondaryAddress):
            self._select(address, link)
        frame = encode(LongFrame(SND_UD | FCB if link.fcb else SND_UD, on_wire, ci, data))
        self._repeat(address, lambda: self._exchange.ask(frame, address, wants_data=False), repeats, LinkError)

    def _first_telegram(self, address: Address, link: Link, repeats: int, *, reset: bool) -> bytes:
        if isinstance(address, SecondaryAddress):
            return self._first_of_selected(address, link, repeats, reset=reset)
        reset, due = reset or link.reset_always, link.fcb
        if reset:
            self._initialise(address, link, repeats)
            reset = not link.unsure
        before = link.last
        raw = self._first_sure_telegram(address, link, repeats)
        if link.doubts(raw, before):
            raw = self._undoubted_telegram(address, link, repeats, reset=reset, toggled=due)
        self._known.keep(address)
        return raw

    def _undoubted_telegram(self, address: int, link: Link, repeats: int, *, reset: bool, toggled: bool) -> bytes:
        """A meter said its last telegram again: it missed the toggled FCB, is stuck in it, or has nothing else to say.

        It is known when it was initialised since (``reset``: before it said so) and asked with another FCB than that
        time (``toggled``). The first request after SND_NKE has FCB 1, so that with FCB 0 is sent before, if it is due.
        """
        raw = before = link.last
        if not link.fcb and not (reset and toggled):
            raw = self._next_telegram(address, link, repeats)
        freed, heard = not reset and same_telegram(raw, before), True
        if freed:
            try:
                self._initialise(address, link, repeats)
            except LinkError:  # it may have heard it all the same; the FCB that is due tells
                link.unsure = heard = False
            raw = self._next_telegram(address, link, repeats)
        link.asked_anew(raw, before, freed=freed, heard=heard)
        return raw

    def _first_of_selected(self, address: SecondaryAddress, link: Link, repeats: int, *, reset: bool) -> bytes:
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
                if link.doubts(raw, before):  # some meters remember the FCB of their last selection
                    raw = self._next_telegram(address, link, 0)
                    link.asked_anew(raw, before)
                self._known.keep(address)
                return raw
            except (FrameDamaged, FrameUnexpected, Collision):
                if repeat == repeats:
                    raise
                self._exchange.tally(address).repeats += 1
                # A meter that ignores that goes on in the middle of its readout.
                link.unsure = not self._deselect(address) or link.unsure
        raise AssertionError("the last try returns or raises")

    def _select(self, address: SecondaryAddress, link: Link) -> None:
        """Selects. A meter forgets its last FCB then. Raises ``Collision`` for anything but one acknowledgement."""
        try:
            self._exchange.ask(encode(select(address)), address, wants_data=False)
        except FrameDamaged as error:
            raise self._collision(address, str(error)) from error
        if self._exchange.noise_bytes:
            raise self._collision(address, f"{self._exchange.noise_bytes} bytes came before the acknowledgement")
        if more := self._exchange.await_idle():  # before the next request there must be silence anyway
            raise self._collision(address, f"after the acknowledgement came {more[:12].hex(' ')}")
        link.fcb = True

    def _collision(self, address: SecondaryAddress, signs: str) -> Collision:
        self._exchange.tally(address).collisions += 1
        return several(address, signs)

    def _deselect(self, address: SecondaryAddress) -> bool:
        """Ends every selection (SND_NKE to address 253); whether a meter acknowledged that."""
        try:
            self._exchange.ask(encode(ShortFrame(SND_NKE, ADDRESS_NETWORK_LAYER)), address, wants_data=False)
        except LinkError:
            return False
        return not self._exchange.noise_bytes  # among the remains of a telegram there may be an E5

    def _initialise(self, address: int, link: Link, repeats: int) -> None:
        link.unsure = True
        frame = encode(ShortFrame(SND_NKE, address))
        damaged = (FrameDamaged, FrameUnexpected)
        self._repeat(address, lambda: self._exchange.ask(frame, address, wants_data=False), repeats, damaged)
        link.fcb, link.unsure = True, self._exchange.noise_bytes > 0  # an E5 in noise may be anything

    def _first_sure_telegram(self, address: Address, link: Link, repeats: int) -> bytes:
        """What comes first after an unconfirmed initialisation may be a repeat of a telegram long past."""
        if link.unsure:
            old = b""
            for _ in range(MAX_TELEGRAMS):  # and may stand in the middle of a readout, which must be ended first
                before, old = old, self._next_telegram(address, link, repeats, started=bool(old))
                if same_telegram(old, before) or not _breaks_off(old):
                    break
            link.unsure = False
            return self._next_telegram(address, link, repeats, started=True)
        return self._next_telegram(address, link, repeats)

    def _next_telegram(self, address: Address, link: Link, repeats: int, *, started: bool = False) -> bytes:
        on_wire = ADDRESS_NETWORK_LAYER if isinstance(address, SecondaryAddress) else address
        frame = encode(ShortFrame(REQ_UD2 | FCB if link.fcb else REQ_UD2, on_wire))
        again = LinkError if started else (FrameDamaged, FrameUnexpected)

        def ask() -> bytes:
            return self._exchange.ask(frame, address, wants_data=True, meter=link.meter)

        raw = self._repeat(address, ask, repeats, again)
        if started and (same_telegram(raw, link.last) or is_older(raw, link.last)):
            # It has sent that twice, or late: what was asked for comes now.
            raw = self._repeat(address, ask, repeats, again)
        # "Busy" said twice is no repeat of old values.
        link.fcb, link.last = not link.fcb, b"" if is_application_error(parse_long(raw)) else raw
        return raw

    def _repeat(
        self,
        address: Address,
        exchange: Callable[[], bytes],
        repeats: int,
        again: type[LinkError] | tuple[type[LinkError], ...],
    ) -> bytes:
        for _ in range(repeats):
            try:
                return exchange()
            except again:
                self._exchange.tally(address).repeats += 1
        return exchange()


def parse_long(raw: bytes) -> LongFrame:
    """``raw`` as a long frame. Raises ``FrameUnexpected`` for any other."""
    frame = parse(raw)
    if not isinstance(frame, LongFrame):
        raise FrameUnexpected(f"{raw.hex(' ')} is no long frame")
    return frame


def is_answer(heard: bytes, address: int) -> bool:
    """``heard`` is one whole frame of user data from ``address`` and nothing else."""
    try:
        frame = parse(heard)
    except FrameDamaged:
        return False
    return isinstance(frame, LongFrame) and frame.address == address and frame.control & RSP_UD_MASK == RSP_UD


def _breaks_off(raw: bytes) -> bool:
    """A readout that ends with this telegram has not come to its end: more would follow, or it says what is wrong."""
    return is_application_error(parse_long(raw)) or _more_records_follow(raw)


def _more_records_follow(raw: bytes) -> bool:
    if 0x1F not in raw:
        return False
    try:
        return decode_frame(raw).more_records_follow
    except DecodeError:  # its reader will say what is wrong with it
        return False
