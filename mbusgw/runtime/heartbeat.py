"""Signs of life: every thread says that it goes on."""
from __future__ import annotations

from mbusgw.runtime.clock import Clock


class Heartbeat:
    """When one thread last finished a round. **any thread** (one float, written by its owner)

    ``limit_s`` is the longest a round may take; past that the thread counts as stalled.
    """

    def __init__(self, name: str, clock: Clock, *, limit_s: float = 60) -> None:
        self.name = name
        self.limit_s = limit_s
        self._clock = clock
        self._last_mono = clock.mono()

    def beat(self) -> None:
        """A round is done, or a long one goes on."""
        self._last_mono = self._clock.mono()

    @property
    def age_s(self) -> float:
        """Seconds since the last beat."""
        return self._clock.mono() - self._last_mono

    @property
    def stalled(self) -> bool:
        """No beat for longer than a round may take."""
        return self.age_s > self.limit_s
