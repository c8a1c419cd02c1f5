"""Whether the telegrams of one readout belong together (EN 13757-3:2018: the access number goes on with each telegram).

A telegram that was lost leaves a gap: a meter that was asked again went on instead of repeating it, or what was taken
for the first one was the late answer to a request of long ago. Either way the values are of two moments, or some miss.
And where another meter spoke at the same time, what its bits have made of an access number is seldom a later one.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mbusgw.mbus.answer import access_step, same_telegram
from mbusgw.mbus.decode import decode_frame
from mbusgw.model.errors import DecodeError

#: A readout that seems to have a gap is begun anew; when that many in a row had one and nothing disturbed them, it is
#: the meter's own way.
DOUBTS_MAX = 3

#: A meter whose access number was a later one so many times in a row counts.
COUNTS_MIN = 8
#: So far it may have gone on since the readout before: a quarter of an hour of radio telegrams, or other masters.
LATER_MAX = 127
#: One that has begun to count anew goes on from what was doubted by so much at most.
ANEW_MAX = 16

#: The records of one telegram, without their data: what they say does not change from one readout to the next.
Head = tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True)
class Succession:
    """How the telegrams of one meter follow each other. **own thread**

    ``heads``: those of its last readout, if it had several telegrams; ``others``: those that it had since, once.
    ``doubted``: how many readouts in a row, which nothing disturbed, seemed to have a gap; ``jumps``: its access number
    goes on by other steps than one; ``seen``: a readout of it was taken. ``last``: its last telegram; ``later``: how
    often in a row the next one had a later access number; ``doubtful``: the last telegram of a readout that had not.
    """

    heads: tuple[Head, ...] = ()
    others: tuple[Head, ...] = ()
    doubted: int = 0
    jumps: bool = False
    seen: bool = False
    last: bytes = b""
    later: int = 0
    doubtful: bytes = b""

    def gap(self, frames: Sequence[bytes], *, complete: bool, disturbed: bool) -> str:
        """Why telegrams seem to be missing between or before ``frames``; empty if none do, or if the meter is so.

        An access number that never changes, as that of some meters, tells nothing. What was ``disturbed`` when nobody
        knew yet what the meter says tells nothing either.
        """
        heads = tuple(_head(raw) for raw in frames) if complete and (self.heads or len(frames) > 1) else ()
        jump = "" if self.jumps else _jump(frames)
        why = jump or _missing(heads, self.heads) or self._not_later(frames)
        if not why and complete and disturbed and not self.seen:
            why = "its first readout was disturbed"
            self.doubted += 1
        else:
            self.doubted += bool(why) and not disturbed
        if why and self.doubted < DOUBTS_MAX:
            return why
        self.jumps = self.jumps or bool(jump)
        self.doubted, self.seen = 0, True
        self._count(frames)
        self._learn(heads, believed=bool(why))
        return ""

    def _not_later(self, frames: Sequence[bytes]) -> str:
        if self.later < COUNTS_MIN or same_telegram(frames[0], self.last):
            return ""
        step, anew = access_step(self.last, frames[0]), access_step(self.doubtful, frames[0])
        if step is None or 1 <= step <= LATER_MAX or anew is not None and 1 <= anew <= ANEW_MAX:
            return ""
        self.doubtful = frames[-1]
        return "its access number is not later than that of its last readout"

    def _count(self, frames: Sequence[bytes]) -> None:
        step = access_step(self.last, frames[0])
        if not same_telegram(frames[0], self.last):
            self.later = self.later + 1 if step is not None and 1 <= step <= LATER_MAX else 0
        self.last, self.doubtful = frames[-1], b""

    def _learn(self, heads: tuple[Head, ...], *, believed: bool) -> None:
        """Once is not enough: what the wire has made up may look like a telegram."""
        if not heads or () in heads or heads.count(heads[0]) > 1:  # pages of a history may be more or fewer
            return
        if believed or not self.heads or heads == self.others:
            self.heads = heads
        self.others = heads


def _jump(frames: Sequence[bytes]) -> str:
    steps = (access_step(before, raw) for before, raw in pairwise(frames))
    for number, step in enumerate(steps, start=1):
        if step not in (None, 0, 1):
            return f"from telegram {number} to the next its access number went on by {step}"
    return ""


def _missing(heads: tuple[Head, ...], known: tuple[Head, ...]) -> str:
    if not heads or heads == known or not _are_among(heads, known):
        return ""
    return f"of {len(known)} telegrams that it had last time only {len(heads)} came"


def _are_among(some: Iterable[Head], others: Iterable[Head]) -> bool:
    """In that order, with gaps or without."""
    left = iter(others)
    return all(one in left for one in some)


def _head(raw: bytes) -> Head:
    try:
        return tuple((record.dib, record.vib) for record in decode_frame(raw).records)
    except DecodeError:
        return ()
