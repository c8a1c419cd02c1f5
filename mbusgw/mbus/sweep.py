"""A whole bus searched step by step: all primary addresses, or all meters by selection (EN 13757-2, 5.7).

Each step is one probe, so that others have their turns between; a sweep has a place from which it goes on.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from mbusgw.mbus.frames import ADDRESS_BROADCAST, ADDRESS_BROADCAST_REPLY, ADDRESS_NETWORK_LAYER, LongFrame
from mbusgw.mbus.masks import DECIMAL
from mbusgw.mbus.probe import end_selection, frames_in, judge_frame, obeys, probe
from mbusgw.mbus.search import Find, SecondarySearch, Verdict
from mbusgw.mbus.session import Session
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.meter import MeterIdentity

#: 0 is the address of meters that have not been given one yet.
PRIMARY_ADDRESSES = tuple(range(251))
#: How often an address is asked again where something was heard that nobody can make out.
TRIES = 3
#: How many of the standard's answer windows a meter is given that was heard too late.
LATE_PATIENCE = 4

DOUBLED = "several meters share this address, or the answers of one are damaged: a secondary search tells them apart"
SHARED = "shares primary address {address} with {others}"
WRONG_PRIMARY = "answers to address {asked}, but as {answers}"
LATE = "answers later than the standard allows"

#: Address fields that do not say where a meter is.
_UNTOLD = (ADDRESS_NETWORK_LAYER, ADDRESS_BROADCAST_REPLY, ADDRESS_BROADCAST)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A meter, or a sign of one, that was heard on the bus. **immutable**

    ``primary``: the address it answers to; ``secondary``: the one that selects it. ``note``: what is odd about it.
    """

    identity: MeterIdentity | None
    primary: int | None
    secondary: SecondaryAddress | None
    note: str = ""


class Sweep(Protocol):
    """A search of one kind. ``step``: **own thread** of the bus; the rest: whoever has it, between two steps"""

    @property
    def done(self) -> bool:
        """Nothing is left to ask."""

    @property
    def progress(self) -> float:
        """The share that is done, in [0, 1]."""

    @property
    def doing(self) -> str:
        """What is asked next, for a person."""

    def step(self, session: Session) -> list[Sighting]:
        """One probe; who was found by it. Raises ``FrameDamaged``, ``TransportLost``; the next step asks again."""

    def place(self) -> dict[str, Any]:
        """Where it is, for JSON."""


class PrimarySweep:
    """Asks one primary address after the other for data.

    REQ_UD2, not SND_NKE: an acknowledgement would not tell who it is from, two of them look like one, and some meters
    never send it; for a silent address both cost the same answer window. A meter that says who it is is then selected,
    which confirms that its answer was no superposition of two, and that it can be called so.
    """

    def __init__(self, addresses: Sequence[int] = PRIMARY_ADDRESSES) -> None:
        self._left = list(addresses)
        self._total = max(1, len(self._left))
        self._late: list[int] = []
        self._seen: set[int] = set()

    @property
    def done(self) -> bool:
        return not self._left and not self._late

    @property
    def progress(self) -> float:
        return 1 - len(self._left) / self._total

    @property
    def doing(self) -> str:
        left = self._left or self._late
        return f"primary address {left[0]}" if left else "done"

    def step(self, session: Session) -> list[Sighting]:
        if not self._left:
            return self._ask_late(session)
        address = self._left[0]
        before, answer = session.knock(address)
        self._note_late(before, address)
        sightings = self._make_out(session, address, answer) if answer else []
        del self._left[0]  # last: what was disturbed is asked again
        return sightings

    def place(self) -> dict[str, Any]:
        return {"left": self._left, "late": self._late, "total": self._total, "seen": sorted(self._seen)}

    @classmethod
    def at(cls, place: dict[str, Any]) -> PrimarySweep:
        """The sweep that was there. Raises ``ValueError``, ``LookupError`` or ``TypeError`` for no such place."""
        sweep = cls([int(address) for address in place["left"]])
        sweep._late = [int(address) for address in place["late"]]
        sweep._total = max(1, int(place["total"]))
        sweep._seen = {int(address) for address in place["seen"]}
        return sweep

    # -------------------------------------------------- one address
    def _make_out(self, session: Session, address: int, answer: bytes) -> list[Sighting]:
        """Who answers there; asked again where that is not clear, and nobody if it was only noise."""
        answers = _Answers(address)
        while not self._is_clear(session, answers, answer) and answers.tries < TRIES:
            before, answer = session.knock(address, again=answers.tries % 2 == 1)
            self._note_late(before, address)
        return self._seen_at(address, answers.verdict(session))

    def _is_clear(self, session: Session, answers: _Answers, answer: bytes) -> bool:
        """Takes in one answer; whether nothing more need be asked."""
        frames = frames_in(answer) if answer else []
        if frames is not None:
            late = [one for one in frames if one is not None and self._is_of_another(one.address, answers.address)]
            for frame in late:
                self._remember_late(frame.address)
            frames = [frame for frame in frames if frame not in late]
        return answers.add(session, frames)

    def _is_of_another(self, primary: int, address: int) -> bool:
        """The one that sent it was asked before."""
        return primary != address and primary not in _UNTOLD and (primary in self._seen or primary < address)

    def _seen_at(self, address: int, sightings: list[Sighting]) -> list[Sighting]:
        if sightings:
            self._seen.add(address)
            self._late = [one for one in self._late if one != address]
        return sightings

    # -------------------------------------------------- those that answer too late
    def _note_late(self, before: bytes, address: int) -> None:
        for frame in frames_in(before) or []:
            if frame is not None and frame.address != address:
                self._remember_late(frame.address)

    def _remember_late(self, address: int) -> None:
        if address not in self._seen and address not in self._late and address not in self._left[1:]:
            self._late.append(address)

    def _ask_late(self, session: Session) -> list[Sighting]:
        address = self._late.pop(0)
        _, answer = session.knock(address, patience=LATE_PATIENCE)
        frames = [frame for frame in frames_in(answer) or [] if frame is not None and frame.address == address]
        return self._seen_at(address, [replace(_sighting(address, frames[0]), note=LATE)] if frames else [])


class _Answers:
    """What one primary address has answered to a few requests. **own thread**"""

    def __init__(self, address: int) -> None:
        self.address = address
        self.tries = 0
        self._garbled = self._silences = 0
        self._named: dict[MeterIdentity, Sighting] = {}
        self._nameless: Sighting | None = None
        self._obeys: dict[SecondaryAddress, bool] = {}

    def add(self, session: Session, frames: list[LongFrame | None] | None) -> bool:
        """One more answer (None: damaged); whether it is clear now who answers."""
        self.tries += 1
        if frames is None:
            self._garbled += 1
            return False
        self._silences += not frames
        for frame in frames:
            sighting = _sighting(self.address, frame)
            if sighting.identity is None:
                self._nameless = sighting
            else:
                self._named[sighting.identity] = sighting
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
        if self._named and self._garbled < TRIES - 1:
            return [self._told(session, one) for one in self._named.values()]
        if self._nameless is not None and self._garbled < TRIES - 1:
            return [self._nameless]
        if self._garbled and self._silences < TRIES - 1:  # noise is not there each time
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
        return self._obeys[address]


class SecondarySweep:
    """Finds every meter by selection (``SecondarySearch``), a mask at a time."""

    def __init__(self, search: SecondarySearch) -> None:
        self.search = search
        self._patience = 1
        self._before: SecondaryAddress | None = None  # the mask that nobody answered to just now
        self._doubtful: SecondaryAddress | None = None
        self._begun = False

    @classmethod
    def of(cls, mask: SecondaryAddress = SecondaryAddress(), *, digits: str = DECIMAL) -> SecondarySweep:
        """The sweep of all meters that fit ``mask``."""
        return cls(SecondarySearch(mask, digits=digits))

    @property
    def done(self) -> bool:
        return self.search.next_probe() is None

    @property
    def progress(self) -> float:
        return self.search.progress

    @property
    def doing(self) -> str:
        mask = self.search.next_probe()
        return "done" if mask is None else f"secondary address {mask}"

    def step(self, session: Session) -> list[Sighting]:
        mask = self.search.next_probe()
        if mask is None:
            return []
        if not self._begun:
            end_selection(session)  # of whoever was here before us
            self._begun = True
        patience = LATE_PATIENCE if mask == self._doubtful else self._patience
        came = probe(session, mask, patience=patience)
        silent = came.heard.verdict is Verdict.NOBODY
        finds = self.search.told(came.heard)
        if mask == self._doubtful:
            self._doubtful = None
            if not silent:  # it was slow indeed, so the rest of its number is asked for as patiently
                self._patience = LATE_PATIENCE
        if came.late and self._before is not None and self._patience == 1:
            self._doubtful = self._before
            self.search.again(self._before)
        self._before = mask if silent else None
        return [_selected(find) for find in finds]

    def place(self) -> dict[str, Any]:
        return {**self.search.place(), "patience": self._patience}

    @classmethod
    def at(cls, place: dict[str, Any]) -> SecondarySweep:
        """The sweep that was there. Raises ``ValueError``, ``LookupError`` or ``TypeError`` for no such place."""
        sweep = cls(SecondarySearch.at(place))
        sweep._patience = int(place["patience"])
        return sweep


def _sighting(address: int, frame: LongFrame | None) -> Sighting:
    """Who sent ``frame`` (None: an acknowledgement) when ``address`` was asked."""
    heard = judge_frame(frame)
    note = heard.why
    if frame is not None and frame.address != address and frame.address not in _UNTOLD:
        note = WRONG_PRIMARY.format(asked=address, answers=frame.address)
    if heard.sender is None:
        return Sighting(None, address, None, note)
    return Sighting(heard.sender.identity, address, heard.sender.address, note)


def _selected(find: Find) -> Sighting:
    """Who obeyed a selection; it may answer with 253 instead of its own primary address."""
    sender = find.sender
    if sender is None:
        return Sighting(None, None, find.address, find.note)
    primary = sender.primary if sender.primary in PRIMARY_ADDRESSES else None
    return Sighting(sender.identity, primary, find.address, find.note)
