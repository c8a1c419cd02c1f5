"""A circuit breaker: stops asking what does not answer, and asks again later."""
from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum

from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.clock import Clock


class BreakerState(str, Enum):
    """closed: calls pass; open: calls are refused; half_open: one call probes."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Opens after ``failures`` in a row, lets one probe through when its pause is over. **any thread**

    A probe that is not heard of for ``first_pause_s`` counts as lost, and another may go.
    Calls that were under way when it opened and fail after that change nothing.
    ``on_close`` is called, by whoever told the success, each time it closes again; it must not block.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        failures: int = 5,
        first_pause_s: float = 30,
        max_pause_s: float = 600,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._on_close = on_close
        self._limit = failures
        self._probe_limit_s = first_pause_s
        self._backoff = Backoff(first_pause_s, max_pause_s)
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until_mono: float | None = None
        self._probe_until_mono: float | None = None

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
            now_mono = self._clock.mono()
            if now_mono < self._open_until_mono or self._probes(now_mono):
                return False
            self._probe_until_mono = now_mono + self._probe_limit_s
            return True

    def success(self) -> None:
        """The call worked: closed again."""
        with self._lock:
            was_open = self._open_until_mono is not None
            self._failures = 0
            self._open_until_mono = None
            self._probe_until_mono = None
            self._backoff.reset()
        if was_open:
            self._on_close()

    def failure(self) -> None:
        """The call failed: opens at the limit, or again after a failed probe."""
        with self._lock:
            now_mono = self._clock.mono()
            if self._open_until_mono is not None and now_mono < self._open_until_mono:
                return
            self._failures += 1
            if self._failures >= self._limit:
                self._open_until_mono = now_mono + self._backoff.next_s()
            self._probe_until_mono = None

    def open_for(self, seconds: float) -> None:
        """Opens at once for a known time (Retry-After, a refused token); never shortens a longer pause."""
        with self._lock:
            self._failures = max(self._failures, self._limit)
            self._open_until_mono = max(self._open_until_mono or 0.0, self._clock.mono() + seconds)
            self._probe_until_mono = None

    def _probes(self, now_mono: float) -> bool:
        return self._probe_until_mono is not None and now_mono < self._probe_until_mono
