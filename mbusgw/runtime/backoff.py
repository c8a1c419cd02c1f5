"""Growing pauses between tries."""
from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Exponential pauses with jitter, so that a hundred clients do not come back at once. **own thread**

    ``next_s()`` gives ``first_s``, then twice that and so on up to ``max_s``, each
    scattered by ``jitter`` (0.25: ±25 %) but never above ``max_s``.
    """

    def __init__(
        self,
        first_s: float,
        max_s: float,
        *,
        jitter: float = 0.25,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.first_s = first_s
        self.max_s = max_s
        self._jitter = jitter
        self._uniform = uniform
        self._tries = 0

    def next_s(self) -> float:
        """The pause before the next try."""
        pause = min(self.first_s * 2.0 ** min(self._tries, 62), self.max_s)
        self._tries += 1
        return min(pause * self._uniform(1 - self._jitter, 1 + self._jitter), self.max_s)

    def reset(self) -> None:
        """It worked: begin anew."""
        self._tries = 0
