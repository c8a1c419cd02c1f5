"""What is counted of the talk on one line, for those who look for its troubles."""
from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from itertools import chain

from mbusgw.model.address import Address

#: Answer delays kept of each meter.
DELAYS_KEPT = 32
#: A scan asks many who are not there; of so many addresses at most anything is kept.
ADDRESSES_MAX = 1000


@dataclass(slots=True)
class Tally:
    """Of one meter at one speed: ``requests`` is the sum of what became of them. Written by the bus, read by anybody.

    ``damaged``: a wrong checksum or format; ``broken_off``: it ended early; ``garbage``: bytes that begin no frame;
    ``unexpected``: another's answer, or one of another kind; ``late``: came after the window (that request counts as
    a timeout). ``repeats``: requests that were the same once more. ``delays_s``: the newest answer delays.
    """

    requests: int = 0
    answers: int = 0
    timeouts: int = 0
    damaged: int = 0
    broken_off: int = 0
    garbage: int = 0
    unexpected: int = 0
    collisions: int = 0
    late: int = 0
    repeats: int = 0
    noise_bytes: int = 0
    last_unexpected: str = ""
    delays_s: deque[float] = field(default_factory=lambda: deque(maxlen=DELAYS_KEPT))

    @property
    def spoilt(self) -> int:
        """Answers that came and could not be read."""
        return self.damaged + self.broken_off + self.garbage

    @property
    def counts(self) -> dict[str, int]:
        """All that is a number, by name."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, int)}


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them as if it were one: the sums, every delay, and the first word on what was unexpected. Any thread."""
    parts = tuple(tallies)
    counted = [part.counts for part in parts]
    sums = {name: sum(counts[name] for counts in counted) for name in Tally().counts}
    unexpected = next((part.last_unexpected for part in parts if part.last_unexpected), "")
    delays_s = deque(chain.from_iterable(tuple(part.delays_s) for part in parts))
    return Tally(**sums, last_unexpected=unexpected, delays_s=delays_s)


@dataclass(slots=True)
class Tallies:
    """Of one line since it was first opened. Written by the bus, read by anybody.

    ``echoes``: how often our own bytes came back; ``stray_bytes``: what came while nobody was asked;
    ``never_quiet``: how often the line did not fall silent before a request; ``forgotten``: of addresses that are no
    longer told apart.
    """

    echoes: int = 0
    stray_bytes: int = 0
    never_quiet: int = 0
    meters: dict[tuple[int, Address], Tally] = field(default_factory=dict)
    forgotten: Tally = field(default_factory=Tally)

    @property
    def counts(self) -> dict[str, int]:
        """All that was ever counted on the line, by name. Any thread."""
        meters = total([self.forgotten, *list(self.meters.values())]).counts
        return {**meters, "echoes": self.echoes, "stray_bytes": self.stray_bytes, "never_quiet": self.never_quiet}

    def of(self, baudrate: int, address: Address) -> Tally:
        """The tally of one address at one speed; **own thread** of the bus."""
        tally = self.meters.get((baudrate, address))
        if tally is None:
            tally = Tally()
            if len(self.meters) >= ADDRESSES_MAX:
                mute = [one for one in self.meters.values() if not one.answers]
                self.forgotten = total([self.forgotten, *mute])
                self.meters = {key: one for key, one in self.meters.items() if one.answers}
            if len(self.meters) < ADDRESSES_MAX:
                self.meters[baudrate, address] = tally
        return tally
