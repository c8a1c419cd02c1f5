"""How a radio meter is heard: by which gateways, how strongly, how often, and how much of what it sends."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

#: So many pauses between telegrams are remembered to tell the meter's interval from.
GAPS_KEPT = 8
#: From so many on an interval is told.
GAPS_NEEDED = 3
#: Telegrams closer together belong to one transmission: many meters send a short and a long one.
BURST_S = 4.0
#: Gateways remembered per meter: the best, and those heard of last.
GATEWAYS_KEPT = 6
#: A gateway that has not heard the meter for so many intervals is not its best any more.
BEST_WITHIN = 20
#: What counts fades: the weight of a telegram halves with every 34 that follow.
FADE = 0.98
#: That a meter which is there is called silent by mere bad reception shall be as rare as that.
FALSE_ALARM = 1e-6


@dataclass(frozen=True, slots=True)
class Reception:
    """One gateway's hearing of a telegram. **immutable**"""

    gateway_id: str
    rssi_dbm: float | None
    heard_at: datetime


@dataclass(frozen=True, slots=True)
class RadioLink:
    """What was learned of one meter's way to us. Each telegram makes a new one. **immutable**

    ``gaps_s``: the last pauses between its telegrams; ``heard`` of ``expected`` telegrams, fading with time.
    ``receptions``: the newest of each gateway that hears it. ``last_at``: when it was last heard.
    """

    last_at: datetime | None = None
    gaps_s: tuple[float, ...] = ()
    heard: float = 0.0
    expected: float = 0.0
    receptions: tuple[Reception, ...] = ()

    # -------------------------------------------------- learning
    def hear(self, receptions: Sequence[Reception], *, learn: bool = True) -> RadioLink:
        """After a telegram that came by ``receptions``. Without ``learn`` the pause before it tells nothing (a quiet
        time lay in it, or we were away)."""
        heard_at = min(reception.heard_at for reception in receptions)
        link = self.add(*receptions)
        if self.last_at is None:
            return replace(link, last_at=heard_at)
        gap_s = (heard_at - self.last_at).total_seconds()
        if gap_s < BURST_S:  # the same transmission, or handed in late
            return replace(link, last_at=max(heard_at, self.last_at))
        link = replace(link, last_at=heard_at)
        return link._learned(gap_s) if learn else link

    def add(self, *receptions: Reception) -> RadioLink:
        """A telegram that is known already was heard by more gateways; of each the newest reception counts."""
        known = {reception.gateway_id: reception for reception in self.receptions}
        for reception in receptions:
            before = known.get(reception.gateway_id)
            if before is None or before.heard_at <= reception.heard_at:
                known[reception.gateway_id] = reception
        newest = sorted(known.values(), key=lambda one: one.heard_at, reverse=True)
        return replace(self, receptions=tuple(newest[:GATEWAYS_KEPT]))

    def until(self, moment: datetime) -> RadioLink:
        """Without what was heard after ``moment``: that was another clock's time."""
        if self.last_at is None or max(self.last_at, *(one.heard_at for one in self.receptions)) <= moment:
            return self
        return replace(
            self,
            last_at=self.last_at if self.last_at <= moment else None,
            receptions=tuple(one for one in self.receptions if one.heard_at <= moment),
        )

    def _learned(self, gap_s: float) -> RadioLink:
        gaps_s = (*self.gaps_s[-GAPS_KEPT + 1 :], gap_s)
        interval_s = _interval_s(gaps_s)
        missed = max(1, round(gap_s / interval_s)) if interval_s else 1
        return replace(self, gaps_s=gaps_s, heard=self.heard * FADE + 1, expected=self.expected * FADE + missed)

    # -------------------------------------------------- what follows from it
    @property
    def interval_s(self) -> float | None:
        """How often the meter sends, as far as that is known."""
        return _interval_s(self.gaps_s)

    @property
    def completeness(self) -> float | None:
        """Which share of what the meter sends is heard; None while its interval is not known."""
        return self.heard / self.expected if self.interval_s is not None and self.expected else None

    @property
    def best(self) -> Reception | None:
        """The gateway that hears it best, of those that have heard it lately."""
        limit_s = BEST_WITHIN * (self.interval_s or math.inf)
        newest_at = max((one.heard_at for one in self.receptions), default=None)
        lately = [one for one in self.receptions if newest_at and (newest_at - one.heard_at).total_seconds() <= limit_s]
        return max(lately, key=lambda one: -math.inf if one.rssi_dbm is None else one.rssi_dbm, default=None)

    def silence_s(self, intervals: int) -> float | None:
        """After how much silence it is to be called offline: ``intervals`` of its own, but of a meter that is badly
        heard so many more that bad luck does not explain them, and never less than its longest pause of late.

        None while its interval is not known.
        """
        interval_s, completeness = self.interval_s, self.completeness
        if interval_s is None or completeness is None:
            return None
        lost = min(max(1 - completeness, 1e-9), 0.95)
        unlucky = math.ceil(math.log(FALSE_ALARM) / math.log(lost))
        # A little more than a whole number of intervals, because none is kept to the second.
        return max((max(intervals, unlucky) + 0.2) * interval_s, 1.5 * max(self.gaps_s))


def _interval_s(gaps_s: Sequence[float]) -> float | None:
    """A low quartile: pauses are longer where telegrams were lost, and seldom shorter than the meter's own."""
    if len(gaps_s) < GAPS_NEEDED:
        return None
    return sorted(gaps_s)[len(gaps_s) // 4]
