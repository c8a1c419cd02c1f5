"""Faults at random that can be had again: the same for the same seed."""
from __future__ import annotations

from random import Random

from mbusgw.simulator.fault import HABITS, Fault, FaultKind

#: Faults of an answer that pass; NEVER_ENDS and the like are a meter's nature.
PASSING = tuple(kind for kind in FaultKind if kind not in HABITS)
#: So often, compared with faults of answers, noise comes that belongs to no answer.
NOISE_SHARE = 0.25
NOISE_WITHIN_S = 1.0
LONGEST_NOISE_BYTES = 30


class Chaos:
    """Which answer is spoiled, how, and when noise comes. **own thread** of its segment

    ``rate``: the share of answers that are spoiled. ``addresses``: of these meters only (None: of all).
    """

    def __init__(
        self,
        seed: int,
        rate: float,
        *,
        kinds: tuple[FaultKind, ...] = PASSING,
        addresses: frozenset[int] | None = None,
    ) -> None:
        self.seed = seed
        self.rate = rate
        self._kinds = kinds
        self._addresses = addresses
        self._rng = Random(seed)

    def fault(self, address: int) -> Fault | None:
        """What befalls the next answer of the meter at ``address``."""
        if self._addresses is not None and address not in self._addresses:
            return None
        if self._rng.random() >= self.rate:
            return None
        delay_s = self._rng.choice((0.05, 0.2, 1.0, 3.0)) * self._rng.uniform(0.5, 2)
        return Fault(self._rng.choice(self._kinds), times=1, delay_s=delay_s)

    def noise(self) -> tuple[float, bytes] | None:
        """After how many seconds which bytes come that nobody has sent; asked with every request."""
        if self._rng.random() >= self.rate * NOISE_SHARE:
            return None
        some = self._rng.randbytes(self._rng.randint(1, LONGEST_NOISE_BYTES))
        return self._rng.uniform(0, NOISE_WITHIN_S), some
