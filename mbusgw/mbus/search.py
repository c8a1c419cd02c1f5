"""Finding every meter by selection: which masks to try, and what the answers mean (EN 13757-3:2018, 12).

Plain values in, plain values out: who asks the bus is not known here.
"""
from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from mbusgw.mbus.doubts import Doubts
from mbusgw.mbus.masks import DECIMAL, Level, below, hiding_places, is_within
from mbusgw.model.address import ANY_DIGIT, SecondaryAddress
from mbusgw.model.meter import MeterIdentity

#: So many more telegrams may a meter have sent meanwhile to others, by its access number.
COUNT_STEP_MAX = 16
#: So many answers in a row that tell nobody apart are no meters: the way down to one address has 11 steps.
CROWD_MAX = 15

SAME_ADDRESS = "several meters have this very address, or the answers of one are damaged"
NOT_APART = "several meters seem to answer, but cannot be told apart: letters in a number (--hex)? an unknown maker?"
WRONG_NAME = "answers to this selection, but says to be {other}"
CROWDED = "something answers to every selection: noise, or a meter that stays selected"


class Verdict(Enum):
    """What was heard after one selection."""

    NOBODY = "nobody"
    ONE = "one"  # it said who it is
    SEVERAL = "several"
    MUTE = "mute"  # acknowledged, but did not say who it is


@dataclass(frozen=True, slots=True)
class Sender:
    """Who said to have sent an answer. ``address`` selects it alone; ``primary``: the address field. **immutable**"""

    identity: MeterIdentity
    address: SecondaryAddress
    primary: int
    access_no: int | None


@dataclass(frozen=True, slots=True)
class Heard:
    """What one probe brought. ``sender`` belongs to ONE, ``why`` to MUTE. **immutable**"""

    verdict: Verdict
    sender: Sender | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Find:
    """A meter, or with a ``note`` and no ``sender`` a sign of one that could not be made out. **immutable**"""

    address: SecondaryAddress
    sender: Sender | None
    note: str = ""


class _Stage(Enum):
    LOOK = "look"  # who fits the mask?
    CONFIRM = "confirm"  # is there a meter of the whole address that was heard?
    AGAIN = "again"  # and was it alone?
    CHECK = "check"  # too few were found below: was the sign of several noise?


@dataclass(frozen=True, slots=True)
class _Ask:
    mask: SecondaryAddress
    stage: _Stage = _Stage.LOOK
    suspect: Sender | None = None


class SecondarySearch:
    """Tells which mask to probe next and is told what was heard, until everybody is found. **own thread**

    Answers of several meters at once may by chance look like a whole frame. So a meter that an open mask has
    called forth must answer to its whole address; and it was alone only if its access number then has gone on:
    a second one, whose bits were covered by its own, has not counted. With a meter that does not count, the masks
    under which such a second one could hide are looked at.
    ``digits``: what a number may consist of; ``mask``: only meters that fit are looked for.
    """

    def __init__(self, mask: SecondaryAddress = SecondaryAddress(), *, digits: str = DECIMAL) -> None:
        self.digits = digits
        self._stack: list[Level] = []
        self._ask: _Ask | None = None
        self._open_mask = mask  # what CONFIRM and AGAIN are about
        self._searched: set[SecondaryAddress] = set()
        self._found: list[SecondaryAddress] = []
        self._count = 0  # meters told of, with those that could not be told apart
        self._heard_codes: list[int] = []
        self._crowd: list[SecondaryAddress] = []  # masks in a row to which several seemed to answer
        self._doubts = Doubts()
        self._progress = 0.0
        self._new: list[Find] = []
        self.probes = 0
        # With nothing known, the first digit is asked for at once: on a large bus all would answer together.
        whole = mask == SecondaryAddress()
        self._stack.append(Level(mask, self._below(mask) if whole else [mask], 0, 0))

    # -------------------------------------------------- one probe at a time
    def next_probe(self) -> SecondaryAddress | None:
        """The mask to select now; None when the search is done. The same one until it is told what was heard."""
        while self._ask is None and self._stack:
            level = self._stack[-1]
            if level.next < len(level.masks):
                self._ask = _Ask(level.masks[level.next])
                level.next += 1
            elif self._count - level.before < level.expected:
                self._ask = _Ask(level.mask, _Stage.CHECK)
            else:
                self._stack.pop()
        return None if self._ask is None else self._ask.mask

    def told(self, heard: Heard) -> list[Find]:
        """What the last probe brought; the finds that follow from it."""
        ask, self._ask = self._ask, None
        if ask is None:
            raise ValueError("nothing was asked")
        self.probes += 1
        self._crowd = [*self._crowd, ask.mask] if heard.verdict is Verdict.SEVERAL else []
        if heard.sender is not None and heard.sender.address.manufacturer not in self._heard_codes:
            self._heard_codes.append(heard.sender.address.manufacturer)
        if len(set(self._crowd)) > CROWD_MAX:
            self._stack.clear()
            self._report(Find(ask.mask, None, CROWDED))
        else:
            _STAGES[ask.stage](self, ask, heard)
        new, self._new = self._new, []
        return new

    def again(self, mask: SecondaryAddress) -> None:
        """``mask`` is to be looked at once more: its answer may have come too late."""
        if mask not in self._searched:
            self._stack.append(Level(mask, [mask], 0, self._count))

    @property
    def progress(self) -> float:
        """The share of the search that is done, in [0, 1]; it never goes back."""
        share, done = 1.0, 0.0
        for level in self._stack:
            size = max(1, len(level.masks))
            looked = level.next - (1 if level is not self._stack[-1] or self._ask is not None else 0)
            done += share * max(0, min(looked, size)) / size
            share /= size
        self._progress = max(self._progress, min(done, 1.0) if self._stack or self._ask else 1.0)
        return self._progress

    # -------------------------------------------------- what was heard means
    def _looked(self, ask: _Ask, heard: Heard) -> None:
        mask, sender = ask.mask, heard.sender
        if heard.verdict is Verdict.NOBODY:
            if self._doubts.nobody(mask):
                self._note_silence(mask)
            else:
                self._ask = _Ask(mask)
        elif heard.verdict is Verdict.SEVERAL:
            self._several(mask)
        elif sender is None:
            if self._doubts.mute(mask):
                self._descend_to_number(mask, Find(mask, None, heard.why))
            else:
                self._ask = _Ask(mask)
        elif not mask.matches(sender.identity):
            note = WRONG_NAME.format(other=sender.address)
            self._descend_to_number(mask, Find(mask, sender, note))
        elif mask != sender.address:
            self._ask = _Ask(sender.address, _Stage.CONFIRM, sender)
            self._open_mask = mask
        elif self._doubts.one(mask):
            self._found_one(sender)
        else:
            self._ask = _Ask(mask)

    def _confirmed(self, ask: _Ask, heard: Heard) -> None:
        before, now, mask = ask.suspect, heard.sender, self._open_mask
        assert before is not None
        if now is None or now.address != before.address:
            silent = heard.verdict is Verdict.NOBODY
            if now is None and not self._doubts.unconfirmed(before.address, silent=silent):
                self._ask = ask
            else:  # nobody: the answers of several had only looked like one
                self._descend(mask, 1 if heard.verdict is Verdict.MUTE else 2)
        elif _counts_on(before, now):
            self._ask = _Ask(mask, _Stage.AGAIN, now)
        else:
            self._found_one(now)
            hiding = hiding_places(mask, now.address, self.digits)
            if hiding:
                self._stack.append(Level(mask, hiding, 0, self._count))

    def _asked_again(self, ask: _Ask, heard: Heard) -> None:
        before, now = ask.suspect, heard.sender
        assert before is not None
        same = now is not None and now.address == before.address and _counts_on(before, now)
        if same or heard.verdict in (Verdict.NOBODY, Verdict.MUTE):  # it was there: a lost answer says nothing else
            self._found_one(now if same and now is not None else before)
        elif now is None:
            self._several(ask.mask)
        else:
            self._descend(ask.mask, 2)

    def _checked(self, ask: _Ask, heard: Heard) -> None:
        level, sender = self._stack[-1], heard.sender
        known = sender is not None and sender.address in self._found
        if heard.verdict is Verdict.NOBODY or known:
            self._doubts.noisy = True  # what had seemed to be several was none, or one
            self._stack.pop()
        elif sender is not None:
            self._stack.pop()
            self._ask = _Ask(sender.address, _Stage.CONFIRM, sender)
            self._open_mask = ask.mask
        elif level.begin_second_round():
            pass
        elif (covered := self._covered(level.mask)) is not None:
            self._look_below(covered, 1)
        else:
            self._stack.pop()
            self._report(Find(ask.mask, None, heard.why or NOT_APART), level.expected)

    # -------------------------------------------------- finds
    def _found_one(self, sender: Sender) -> None:
        if sender.address not in self._found:
            self._report(Find(sender.address, sender))

    def _report(self, find: Find, meters: int = 1) -> None:
        self._found.append(find.address)
        self._count += meters
        self._new.append(find)

    def _note_silence(self, mask: SecondaryAddress) -> None:
        level = self._stack[-1]
        if level.round == 1:
            level.silent = [*(level.silent or ()), mask]

    # -------------------------------------------------- masks
    def _descend_to_number(self, mask: SecondaryAddress, find: Find) -> None:
        """One that cannot be named by what it says is at least followed to its number."""
        if ANY_DIGIT in mask.id:
            self._descend(mask, 1)
        elif find.address not in self._found:
            self._report(find)

    def _several(self, mask: SecondaryAddress) -> None:
        if self._doubts.several(mask):
            self._descend(mask, 2)
        else:
            self._ask = _Ask(mask)

    def _descend(self, mask: SecondaryAddress, expected: int) -> None:
        masks = self._below(mask)
        if not masks:
            self._report(Find(mask, None, SAME_ADDRESS), 2)
        elif mask in self._searched:  # once is enough, or noise could lead us round and round
            self._report(Find(mask, None, NOT_APART), 2)
        else:
            self._look_below(mask, expected)

    def _look_below(self, mask: SecondaryAddress, expected: int) -> None:
        self._searched.add(mask)
        self._stack.append(Level(mask, self._below(mask), expected, self._count))

    def _covered(self, mask: SecondaryAddress) -> SecondaryAddress | None:
        """Where below ``mask`` one that was found may cover another, whose bits and count fit by chance; None where
        that was searched."""
        for one in self._below(mask):
            known = any(is_within(found, one) for found in self._found)
            if known and one not in self._searched and self._below(one):
                return one
        return None

    def _below(self, mask: SecondaryAddress) -> list[SecondaryAddress]:
        return below(mask, digits=self.digits, first_codes=self._heard_codes)

    # -------------------------------------------------- a place to go on from
    def place(self) -> dict[str, Any]:
        """Where the search is, for JSON: ``at`` goes on from there."""
        mask = self._ask
        asked = None
        if mask is not None and mask.stage is not _Stage.CHECK:
            asked = str(mask.mask if mask.stage is _Stage.LOOK else self._open_mask)
        return {
            "digits": self.digits,
            "stack": [level.place() for level in self._stack],
            "asked": asked,
            "searched": sorted(str(one) for one in self._searched),
            "found": [str(one) for one in self._found],
            "count": self._count,
            "codes": self._heard_codes,
            "noisy": self._doubts.noisy,
            "probes": self.probes,
            "progress": self.progress,
        }

    @classmethod
    def at(cls, place: dict[str, Any]) -> SecondarySearch:
        """The search that was there. Raises ``ValueError``, ``LookupError`` or ``TypeError`` for no such place."""
        search = cls(digits=str(place["digits"]))
        search._stack = [Level.at(document) for document in place["stack"]]
        search._ask = None if place["asked"] is None else _Ask(SecondaryAddress.parse(place["asked"]))
        search._searched = {SecondaryAddress.parse(one) for one in place["searched"]}
        search._found = [SecondaryAddress.parse(one) for one in place["found"]]
        search._count = int(place["count"])
        search._heard_codes = [int(code) for code in place["codes"]]
        search._doubts.noisy = bool(place.get("noisy", False))
        search.probes = int(place["probes"])
        search._progress = float(place["progress"])
        return search


_STAGES = {
    _Stage.LOOK: SecondarySearch._looked,
    _Stage.CONFIRM: SecondarySearch._confirmed,
    _Stage.AGAIN: SecondarySearch._asked_again,
    _Stage.CHECK: SecondarySearch._checked,
}


def _counts_on(before: Sender, now: Sender) -> bool:
    """The access number has gone on as that of one meter does that was asked once more, or a few times by others."""
    if before.access_no is None or now.access_no is None:
        return False
    return 1 <= (now.access_no - before.access_no) % 256 <= COUNT_STEP_MAX
