"""A clock whose hands a test turns."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

#: Where the hands stand at first; a reading of that day looks like one.
START = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


class FakeClock:
    """Stands still until ``advance``. **any thread** (two numbers, written by the test)"""

    def __init__(self, now: datetime = START, mono: float = 1000.0) -> None:
        self._now = now
        self._mono = mono

    def mono(self) -> float:
        return self._mono

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        """Both hands go on."""
        self._mono += seconds
        self._now += timedelta(seconds=seconds)

    def set_wall(self, now: datetime) -> None:
        """Somebody (NTP, a person) sets the wall clock; the monotonic one does not notice."""
        self._now = now
