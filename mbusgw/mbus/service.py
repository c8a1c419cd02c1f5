"""The services of the link layer that a readout is made of, with their repeats (EN 13757-2:2018, 5.5 to 5.7)."""
from __future__ import annotations

from collections.abc import Callable

from mbusgw.mbus.answer import is_older, parse_long, same_telegram
from mbusgw.mbus.decode import is_application_error
from mbusgw.mbus.exchange import Exchange
from mbusgw.mbus.frames import (
    ADDRESS_BROADCAST,
    ADDRESS_BROADCAST_REPLY,
    ADDRESS_NETWORK_LAYER,
    FCB,
    REQ_UD2,
    SND_NKE,
    SND_UD,
    LongFrame,
    ShortFrame,
    encode,
)
from mbusgw.mbus.link import Known, Link, Ways
from mbusgw.mbus.selection import select, several
from mbusgw.model.address import Address, SecondaryAddress
from mbusgw.model.errors import Collision, FrameDamaged, FrameUnexpected, LinkError
from mbusgw.model.wording import counted

#: The addresses that every meter hears.
EVERYBODY = (ADDRESS_BROADCAST_REPLY, ADDRESS_BROADCAST)


class LinkServices:
    """SND_NKE, selection, REQ_UD2 and SND_UD, each with the frame count bit that is due. **own thread**

    ``known``: what is remembered of the meters at the speed of now; ``ways`` outlive the port.
    What is asked for again here, up to ``repeats`` times, is asked for with the same FCB.
    """

    def __init__(self, exchange: Exchange, *, baudrate: int, ways: Ways) -> None:
        self.exchange = exchange
        self._ways = ways
        self._known_at: dict[int, Known] = {}
        self.known = self._known_of(baudrate)

    def set_baudrate(self, baudrate: int) -> None:
        """At another speed an address is another meter's. Raises ``TransportOpenFailed``, and all is as before."""
        self.exchange.set_baudrate(baudrate)
        self.known = self._known_of(baudrate)

    def _known_of(self, baudrate: int) -> Known:
        return self._known_at.setdefault(baudrate, Known(baudrate, self._ways))

    # -------------------------------------------------- REQ_UD2, SND_UD
    def next_telegram(self, address: Address, link: Link, repeats: int, *, started: bool = False) -> bytes:
        """REQ_UD2. Within a readout (``started``) a silent meter is asked again too, and one that says its last
        telegram, or an older one, once more. Raises ``LinkError``, ``TransportLost``."""
        on_wire = ADDRESS_NETWORK_LAYER if isinstance(address, SecondaryAddress) else address
        frame = encode(ShortFrame(REQ_UD2 | FCB if link.fcb else REQ_UD2, on_wire))
        again = LinkError if started else (FrameDamaged, FrameUnexpected)

        def ask() -> bytes:
            return self.exchange.ask(frame, address, wants_data=True, meter=link.meter)

        raw = self._repeat(address, link, ask, repeats, again)
        if started and (same_telegram(raw, link.last) or is_older(raw, link.last)):
            # It has sent that twice, or late: what was asked for comes now.
            raw = self._repeat(address, link, ask, repeats, again)
        # "Busy" said twice is no repeat of old values.
        link.fcb, link.last = not link.fcb, b"" if is_application_error(parse_long(raw)) else raw
        return raw

    def _repeat(
        self,
        address: Address,
        link: Link,
        exchange: Callable[[], bytes],
        repeats: int,
        again: type[LinkError] | tuple[type[LinkError], ...],
    ) -> bytes:
        for _ in range(repeats):
            try:
                return exchange()
            except again:
                self.repeating(address, link)
        return exchange()

    def repeating(self, address: Address, link: Link) -> None:
        """Something is asked for once more: that is counted, and the readout was disturbed."""
        self.exchange.tally(address).repeats += 1
        link.repeated = True

    def instruct(self, address: Address, link: Link, ci: int, data: bytes, repeats: int) -> None:
        """SND_UD, answered by an acknowledgement. Raises ``LinkError``, ``TransportLost``."""
        if address in EVERYBODY:
            self.known.disturb()
        link.reset_due = True  # whether it counts this among the requests, only an initialisation settles
        on_wire = ADDRESS_NETWORK_LAYER if isinstance(address, SecondaryAddress) else address
        if isinstance(address, SecondaryAddress):
            self.select(address, link)
        frame = encode(LongFrame(SND_UD | FCB if link.fcb else SND_UD, on_wire, ci, data))
        self._repeat(address, link, lambda: self.exchange.ask(frame, address, wants_data=False), repeats, LinkError)

    # -------------------------------------------------- SND_NKE, selection
    def select(self, address: SecondaryAddress, link: Link) -> None:
        """Selects. A meter forgets its last FCB then. Raises ``Collision`` for anything but one acknowledgement."""
        try:
            self.exchange.ask(encode(select(address)), address, wants_data=False)
        except FrameDamaged as error:
            raise self.collision(address, str(error)) from error
        if self.exchange.noise_bytes:
            noise = counted(self.exchange.noise_bytes, "byte")
            raise self.collision(address, f"{noise} came before the acknowledgement")
        if more := self.exchange.await_idle():  # before the next request there must be silence anyway
            raise self.collision(address, f"after the acknowledgement came {more[:12].hex(' ')}")
        link.fcb = True

    def collision(self, address: SecondaryAddress, signs: str) -> Collision:
        """The error for several meters that seem to answer to ``address``; it is counted."""
        self.exchange.tally(address).collisions += 1
        return several(address, signs)

    def deselect(self, address: SecondaryAddress) -> bool:
        """Ends every selection (SND_NKE to address 253); whether a meter acknowledged that."""
        try:
            self.exchange.ask(encode(ShortFrame(SND_NKE, ADDRESS_NETWORK_LAYER)), address, wants_data=False)
        except LinkError:
            return False
        return not self.exchange.noise_bytes  # among the remains of a telegram there may be an E5

    def initialise(self, address: int, link: Link, repeats: int) -> None:
        """SND_NKE to a primary address. Raises ``LinkError`` where nobody acknowledges, ``TransportLost``."""
        link.unsure = True
        frame = encode(ShortFrame(SND_NKE, address))
        damaged = (FrameDamaged, FrameUnexpected)
        self._repeat(address, link, lambda: self.exchange.ask(frame, address, wants_data=False), repeats, damaged)
        link.fcb, link.unsure = True, self.exchange.noise_bytes > 0  # an E5 in noise may be anything
