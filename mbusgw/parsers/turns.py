"""Whose turn it is to ask a service: so many at once, so many in a second."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mbusgw.runtime.clock import Clock

_LOOK_S = 0.2


class Turns:
    """A token bucket and a number of seats. **any thread**

    ``per_second`` requests begin in the long run, up to a second's worth of them at once; ``parallel`` run at the
    same time. ``wait(seconds)`` waits and says whether to stop.
    """

    def __init__(self, clock: Clock, wait: Callable[[float], bool], *, per_second: float, parallel: int) -> None:
        self._clock = clock
        self._wait = wait
        self._step_s = 1 / per_second
        self._burst_s = max(0.0, 1.0 - self._step_s)
        self._seats = threading.Semaphore(parallel)
        self._lock = threading.Lock()
        self._next_mono = float("-inf")

    @contextmanager
    def turn(self, patience_s: float) -> Iterator[bool]:
        """Waits for a turn, at most ``patience_s``; gives whether there is one, which ends with the block."""
        pause_s = self._reserve(patience_s)
        seated = pause_s is not None and not (pause_s > 0 and self._wait(pause_s)) and self._sit(patience_s - pause_s)
        try:
            yield seated
        finally:
            if seated:
                self._seats.release()

    def _reserve(self, patience_s: float) -> float | None:
        """How long until a request may begin, which is ours then; None where that is too long."""
        with self._lock:
            now_mono = self._clock.mono()
            pause_s = max(0.0, self._next_mono - self._burst_s - now_mono)
            if pause_s > patience_s:
                return None
            self._next_mono = max(now_mono, self._next_mono) + self._step_s
            return pause_s

    def _sit(self, patience_s: float) -> bool:
        while not self._seats.acquire(timeout=min(_LOOK_S, max(0.0, patience_s))):
            patience_s -= _LOOK_S
            if patience_s <= 0 or self._wait(0):
                return False
        return True
