"""The talk over one open port: what can be asked of the meters there (EN 13757-2:2018, 5.5 to 5.7)."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mbusgw.mbus.answer import Answer, is_answer, more_records_follow, parse_long
from mbusgw.mbus.exchange import Exchange
from mbusgw.mbus.frames import CI_BAUDRATE, FCB, REQ_UD2, Frame, LongFrame, ShortFrame, encode
from mbusgw.mbus.link import Ways
from mbusgw.mbus.readout import MAX_TELEGRAMS, Readouts
from mbusgw.mbus.service import LinkServices
from mbusgw.mbus.tally import Tallies
from mbusgw.mbus.wire import Line
from mbusgw.model.address import Address, SecondaryAddress
from mbusgw.model.errors import LinkError, TransportLost, TransportOpenFailed


class Session:
    """The talk over one open port, one exchange at a time. **own thread**

    A session is as old as its port: after reopening, a new one initialises every link anew; ``ways`` may go
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
        ways: Ways | None = None,
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
        self._services = LinkServices(self._exchange, baudrate=baudrate, ways={} if ways is None else ways)
        self._readouts = Readouts(self._services)

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
            self._services.set_baudrate(baudrate)
            self._baudrate = baudrate

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
            return self._readouts.read_open(address, repeats, reset=reset, max_telegrams=max_telegrams)
        self._services.known.link(address).meter = meter
        return self._readouts.read(address, repeats, reset=reset, max_telegrams=max_telegrams)

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
        self._services.instruct(address, self._services.known.link(address), CI_BAUDRATE[baudrate], b"", 0)

    def instruct(self, address: Address, ci: int, data: bytes = b"", *, repeats: int = 0) -> None:
        """SND_UD: tells a meter something; it acknowledges, and its link is initialised before the next read.

        What was lost is sent again with the same FCB, up to ``repeats`` times, so that it is not obeyed twice.
        Raises ``LinkError`` (a meter that does not understand is silent), ``TransportLost``.
        """
        link = self._services.known.link(address)
        if link.reset_due and not isinstance(address, SecondaryAddress):
            try:
                self._services.initialise(address, link, repeats)
            except LinkError:  # it need not know that to obey
                pass
        self._services.instruct(address, link, ci, data, repeats)

    def forget(self, address: int) -> None:
        """Another meter may be at this address from now on: its link is initialised anew."""
        self._services.known.forget(address)

    def await_late(self, seconds: float) -> None:
        """After ``NoAnswer``: waits so long after the request for the answer, which tells how slow the meter is."""
        self._exchange.await_late(seconds)

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
        link = self._services.known.links.get(address)
        fcb = not again if link is None else link.fcb
        before, heard = self.hear(ShortFrame(REQ_UD2 | FCB if fcb else REQ_UD2, address), patience=patience)
        if link is not None:
            if is_answer(heard, address) and not more_records_follow(heard):
                link.fcb = not fcb
            else:
                link.reset_due = True
        return before, heard

    def look(self) -> None:
        """Between two exchanges: throws away what nobody asked for. Raises ``TransportLost`` if the port has gone."""
        self._exchange.look()
