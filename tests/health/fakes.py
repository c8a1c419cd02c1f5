"""A clock whose hands the tests turn, and a worker that does what it is told."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

from mbusgw.runtime.worker import Worker


class TurnedClock:
    """Begins at noon; ``turn`` moves it on."""

    def __init__(self) -> None:
        self._mono = 1000.0

    def mono(self) -> float:
        return self._mono

    def now(self) -> datetime:
        return datetime(2026, 5, 1, 12, tzinfo=timezone.utc) + timedelta(seconds=self._mono - 1000)

    def turn(self, seconds: float) -> None:
        self._mono += seconds


class Idle(Worker):
    """Waits until it is told to stop; beats once a round."""

    def step(self) -> None:
        self.wait(10)


class Crashing(Worker):
    """Crashes at once."""

    def step(self) -> None:
        raise ValueError("nothing works")
