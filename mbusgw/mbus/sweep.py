"""A whole bus searched step by step: all primary addresses, or all meters by selection (EN 13757-2, 5.7).

Each step is one probe, so that others have their turns between; a sweep has a place from which it goes on.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from mbusgw.mbus.frames import LongFrame
from mbusgw.mbus.masks import DECIMAL
from mbusgw.mbus.probe import end_selection, frames_in, probe
from mbusgw.mbus.search import Find, SecondarySearch, Verdict
from mbusgw.mbus.session import Session
from mbusgw.mbus.sighting import UNTOLD, Answers, Sighting, sighting_of
from mbusgw.model.address import SecondaryAddress

#: 0 is the address of meters that have not been given one yet.
PRIMARY_ADDRESSES = tuple(range(251))
#: How many of the standard's answer windows a meter is given that was heard too late.
LATE_PATIENCE = 4
#: A late answer may come when so many addresses after its meter's are asked.
LATE_AFTER = 2

LATE = "answers later than the standard allows"


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
        self._silent: list[int] = []  # the last ones that kept silent

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
        sightings = self._make_out(session, address, answer) if answer else self._nobody_at(address)
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
        answers = Answers(address)
        while not self._is_clear(session, answers, answer) and answers.tries < answers.most_tries:
            before, answer = session.knock(address, again=answers.tries % 2 == 1)
            self._note_late(before, address)
        if answers.is_mixed:  # it may have been a late answer that spoilt this one
            for silent in self._silent:
                self._remember_late(silent)
            self._silent = []
        return self._seen_at(address, answers.verdict(session))

    def _is_clear(self, session: Session, answers: Answers, answer: bytes) -> bool:
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
        return primary != address and primary not in UNTOLD and (primary in self._seen or primary < address)

    def _seen_at(self, address: int, sightings: list[Sighting]) -> list[Sighting]:
        if sightings:
            self._seen.add(address)
            self._late = [one for one in self._late if one != address]
        return sightings

    def _nobody_at(self, address: int) -> list[Sighting]:
        self._silent = [*self._silent[1 - LATE_AFTER :], address]
        return []

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
        frames = _answers_of(address, answer)
        if not frames:
            return []
        _, in_time = session.knock(address, again=True)  # it may have been silent for once
        sighting = sighting_of(address, frames[0])
        return self._seen_at(address, [sighting if _answers_of(address, in_time) else replace(sighting, note=LATE)])


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


def _answers_of(address: int, answer: bytes) -> list[LongFrame]:
    return [frame for frame in frames_in(answer) or [] if frame is not None and frame.address == address]


def _selected(find: Find) -> Sighting:
    """Who obeyed a selection; it may answer with 253 instead of its own primary address."""
    sender = find.sender
    if sender is None:
        return Sighting(None, None, find.address, find.note)
    primary = sender.primary if sender.primary in PRIMARY_ADDRESSES else None
    return Sighting(sender.identity, primary, find.address, find.note)
