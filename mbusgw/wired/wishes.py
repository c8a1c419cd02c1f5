"""What others want of a meter: its next reading, or that it is polled otherwise."""
from __future__ import annotations

from concurrent.futures import Future

from mbusgw.model.errors import BusError, MbusgwError
from mbusgw.model.settings import MeterSettings
from mbusgw.wired.readout import Readout

#: So many may wait for the next reading at once.
WISHES_MAX = 16


class Wish(Future[Readout]):
    """Somebody waits for the next reading."""


class Adjustment(Future[MeterSettings]):
    """Somebody wants it polled otherwise; None leaves what is."""

    def __init__(self, interval_s: float | None, paused: bool | None, reset: bool) -> None:
        super().__init__()
        self.interval_s = interval_s
        self.paused = paused
        self.reset = reset


class Wishes:
    """Those that wait for the next reading of one meter. ``len``: any thread. The rest: **own thread**"""

    def __init__(self) -> None:
        self._wishes: list[Wish] = []

    def __len__(self) -> int:
        return len(self._wishes)

    def add(self, wish: Wish) -> None:
        """One more."""
        self._wishes.append(wish)

    def grant(self, outcome: Readout | MbusgwError) -> None:
        """All get the reading, or the error it ended with."""
        wishes, self._wishes = self._wishes, []
        for wish in wishes:
            if not wish.set_running_or_notify_cancel():
                continue
            if isinstance(outcome, Readout):
                wish.set_result(outcome)
            else:
                wish.set_exception(outcome)


def refused(device_id: str, *, wish: bool) -> BusError:
    """Why nobody can be asked now. Any thread."""
    return BusError(f"{device_id} {'cannot be asked now: it ' if wish else ''}is stopping, or too many ask")
