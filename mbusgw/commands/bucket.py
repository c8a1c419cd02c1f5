"""How many requests there may be in a second."""
from __future__ import annotations

import threading
from math import ceil

from mbusgw.model.errors import RequestError
from mbusgw.runtime.clock import Clock


class Bucket:
    """Lets ``burst`` requests through at once and ``rate_per_s`` in the long run. **any thread**"""

    def __init__(self, clock: Clock, *, rate_per_s: float, burst: int) -> None:
        self._clock = clock
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._lock = threading.Lock()
        self._left = float(burst)
        self._seen_mono = clock.mono()

    def allow(self) -> bool:
        """May one more pass now?"""
        with self._lock:
            now_mono = self._clock.mono()
            self._left = min(self._burst, self._left + (now_mono - self._seen_mono) * self._rate_per_s)
            self._seen_mono = now_mono
            if self._left < 1:
                return False
            self._left -= 1
            return True

    def take(self) -> None:
        """Lets one pass. Raises ``RequestError`` 429."""
        if not self.allow():
            wait_s = max(1, ceil(1 / self._rate_per_s))
            raise RequestError(429, "too_many_requests", "too many requests at once", retry_after_s=wait_s)
