"""A circuit breaker: stops asking what does not answer, and asks again later."""
from __future__ import annotations

import threading
from enum import Enum

from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.clock import Clock


class BreakerState(str, Enum):
    """closed: calls pass; open: calls are refused; half_open: one call probes."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Opens after ``failures`` in a row, lets one probe through when its pause is over. **any thread**"""

    def __init__(self, clock: Clock, *, failures: int = 5, first_pause_s: float = 30, max_pause_s: float = 600) -> None:
        self._clock = clock
        self._limit = failures
        self._backoff = Backoff(first_pause_s, max_pause_s)
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until_mono: float | None = None
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """What it would do with the next call."""
        with self._lock:
            if self._open_until_mono is None:
                return BreakerState.CLOSED
            waiting = self._clock.mono() < self._open_until_mono
            return BreakerState.OPEN if waiting else BreakerState.HALF_OPEN

    def retry_in_s(self) -> float:
        """Seconds until the next probe may go; 0 when calls pass."""
        with self._lock:
            if self._open_until_mono is None:
                return 0.0
            return max(0.0, self._open_until_mono - self._clock.mono())

    def allow(self) -> bool:
        """May a call go now? A yes while half open is the probe; its end must be told by success or failure."""
        with self._lock:
            if self._open_until_mono is None:
                return True
            if self._clock.mono() < self._open_until_mono or self._probing:
                return False
            self._probing = True
            return True

    def success(self) -> None:
        """The call worked: closed again."""
        with self._lock:
            self._failures = 0
            self._open_until_mono = None
            self._probing = False
            self._backoff.reset()

    def failure(self) -> None:
        """The call failed: opens at the limit, or again after a failed probe."""
        with self._lock:
            self._failures += 1
            if self._probing or self._failures >= self._limit:
                self._open_until_mono = self._clock.mono() + self._backoff.next_s()
            self._probing = False

    def open_for(self, seconds: float) -> None:
        """Opens at once for a known time (Retry-After, a refused token)."""
        with self._lock:
            self._failures = max(self._failures, self._limit)
            self._open_until_mono = self._clock.mono() + seconds
            self._probing = False
