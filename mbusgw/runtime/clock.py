"""Where time comes from, so that tests can turn the hands."""
from __future__ import annotations

import time
from datetime import datetime, timezone
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds for waiting, aware UTC for telling. **any thread**"""

    def mono(self) -> float:
        """Seconds that never jump."""

    def now(self) -> datetime:
        """Wall time, aware UTC."""


class SystemClock:
    """The machine's clocks. **any thread**"""

    def mono(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(timezone.utc)


@lru_cache(maxsize=256)  # of what comes together, most has one time
def iso(moment: datetime) -> str:
    """ISO 8601 with milliseconds and ``Z``: the one form in which mbusgw writes aware times."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> datetime:
    """An aware UTC time from ISO 8601; a time without a zone is taken as UTC. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)
