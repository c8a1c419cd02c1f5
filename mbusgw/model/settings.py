"""How a wired meter is polled just now, which a command may change until the next start."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MeterSettings:
    """``interval_s`` is None for one that is read at its times of the day only; ``as_configured``: the interval is
    that of the file. **immutable**"""

    interval_s: float | None
    paused: bool
    as_configured: bool
