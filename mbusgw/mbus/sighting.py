"""Who was heard on a bus, and what the answers of one primary address say together (EN 13757-2, 5.7)."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from mbusgw.mbus.frames import ADDRESS_BROADCAST, ADDRESS_BROADCAST_REPLY, ADDRESS_NETWORK_LAYER, LongFrame
from mbusgw.mbus.probe import judge_frame, obeys
from mbusgw.mbus.session import Session
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.meter import MeterIdentity

#: How often an address is asked where something was heard that nobody can make out, and where it was not so each time.
TRIES, TRIES_MIXED = 3, 5

DOUBLED = "several meters share this address, or the answers of one are damaged: a secondary search tells them apart"
SHARED = "shares primary address {address} with {others}"
WRONG_PRIMARY = "answers to address {asked}, but as {answers}"

#: Address fields that do not say where a meter is.
UNTOLD = (ADDRESS_NETWORK_LAYER, ADDRESS_BROADCAST_REPLY, ADDRESS_BROADCAST)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A meter, or a sign of one, that was heard on the bus. **immutable**

    ``primary``: the address it answers to; ``secondary``: the one that selects it. ``note``: what is odd about it.
    """

    identity: MeterIdentity | None
    primary: int | None
    secondary: SecondaryAddress | None
    note: str = ""


def sighting_of(address: int, frame: LongFrame | None) -> Sighting:
    """Who sent ``frame`` (None: an acknowledgement) when ``address`` was asked."""
    heard = judge_frame(frame)
    note = heard.why
    if frame is not None and frame.address != address and frame.address not in UNTOLD:
        note = WRONG_PRIMARY.format(asked=address, answers=frame.address)
    if heard.sender is None:
        return Sighting(None, address, None, note)
    return Sighting(heard.sender.identity, address, heard.sender.address, note)


class Answers:
    """What one primary address has answered to a few requests. **own thread**"""

    def __init__(self, address: int) -> None:
        self.address = address
        self.tries = 0
        self._garbled = self._nameless_times = 0
        self._named: dict[MeterIdentity, Sighting] = {}
        self._named_times: Counter[MeterIdentity] = Counter()
        self._nameless: Sighting | None = None
        self._selection_spoilt = False
        self._obeys: dict[SecondaryAddress, bool] = {}

    @property
    def is_mixed(self) -> bool:
        """Some answers were spoilt, and not all: by noise, or by a late answer of another."""
        return 0 < self._garbled < self.tries or self._selection_spoilt

    @property
    def most_tries(self) -> int:
        """So often it is asked."""
        return TRIES_MIXED if self.is_mixed else TRIES

    @property
    def _mostly_garbled(self) -> bool:
        return 2 * self._garbled > self.tries

    def add(self, session: Session, frames: list[LongFrame | None] | None) -> bool:
        """One more answer (None: damaged); whether it is clear now who answers."""
        self.tries += 1
        if frames is None:
            self._garbled += 1
            return False
        for frame in frames:
            sighting = sighting_of(self.address, frame)
            if sighting.identity is None:
                self._nameless = sighting
                self._nameless_times += 1
            else:
                self._named[sighting.identity] = sighting
                self._named_times[sighting.identity] += 1
        if self._garbled or len(self._named) != 1 or len(frames) != 1:
            return False
        [sighting] = self._named.values()
        return self.tries > 1 or self._is_selectable(session, sighting)

    def verdict(self, session: Session) -> list[Sighting]:
        """Who answers at the address."""
        if len(self._named) > 1:
            names = ", ".join(sorted(identity.device_id for identity in self._named))
            note = SHARED.format(address=self.address, others=names)
            return [self._told(session, replace(one, note=note)) for one in self._named.values()]
        if self._named and (not self._mostly_garbled or self._named_times.total() > 1):
            return [self._told(session, one) for one in self._named.values()]
        if self._nameless is not None and not self._mostly_garbled and self._nameless_times > 1:
            return [self._nameless]
        if self._mostly_garbled:  # noise is not there each time
            return [Sighting(None, self.address, None, DOUBLED)]
        return []

    def _told(self, session: Session, sighting: Sighting) -> Sighting:
        return sighting if self._is_selectable(session, sighting) else replace(sighting, secondary=None)

    def _is_selectable(self, session: Session, sighting: Sighting) -> bool:
        address = sighting.secondary
        if address is None:
            return False
        if address not in self._obeys:
            self._obeys[address] = obeys(session, address)
            if not self._obeys[address]:  # once it may have been lost
                self._obeys[address] = self._selection_spoilt = obeys(session, address)
        return self._obeys[address]
