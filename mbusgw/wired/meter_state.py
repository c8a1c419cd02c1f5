"""How a wired meter is read, for those who look."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mbusgw.model.settings import MeterSettings

#: What stands for the state of the breaker where a meter is paused by command.
PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class MeterState:
    """How a wired meter is read, for ``GET /state``. **immutable**

    ``address`` is a number, or the text of a secondary address; ``baudrate`` the speed of the last answer.
    ``fixed_time_pending``: the time of the day (``at``) whose reading is still to come.
    ``failures``: failed reads in all; ``failures_in_a_row``: since the last good one.
    """

    device_id: str
    bus: str
    address: int | str
    baudrate: int | None
    reads: int
    failures: int
    failures_in_a_row: int
    last_error: str | None
    last_read_at: datetime | None
    next_read_at: datetime | None
    fixed_time_pending: datetime | None
    breaker: str
    waiting_to_be_stored: int
    paused: bool = False


def polling_text(settings: MeterSettings) -> str:
    """How it is polled, in words. Any thread."""
    if settings.paused:
        return "is not read until it is resumed"
    if settings.interval_s is None:
        return "is read at its times of the day only"
    return f"is read every {settings.interval_s:g} s"
