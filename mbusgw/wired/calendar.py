"""Times of the day at which a meter is to be read, on the machine's own clock: for bills and month ends."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta, timezone, tzinfo

#: So long after its time a reading is still tried for.
GIVE_UP_AFTER = timedelta(hours=1)
#: A clock that is set back by less does not repeat what was just read.
SET_BACK = timedelta(minutes=10)


class Calendar:
    """Which time of the day waits for its reading. **own thread**

    Each time comes once a day: one that the change to summer time leaves out comes as much later as the clock was
    put forward, one that comes twice in autumn counts the first time. Times that passed while nobody
    looked (the machine was off, the clock was set) are still pending if that is not long ago.
    ``zone``: the machine's own, if it is None.
    """

    def __init__(self, times: Sequence[time], zone: tzinfo | None = None) -> None:
        self._times = tuple(times)
        self._zone = zone
        self._handled: datetime | None = None
        self._pending: datetime | None = None

    @property
    def pending(self) -> datetime | None:
        """The moment whose reading is still to come."""
        return self._pending

    def next_after(self, now: datetime) -> datetime | None:
        """The next time after ``now``; None where there are no times."""
        return min((moment for moment in self._around(now) if moment > now), default=None)

    def begins(self, now: datetime) -> bool:
        """Whether a time has come since it was last asked, whose reading is ``pending`` from now on."""
        last = max((moment for moment in self._around(now) if moment <= now), default=None)
        if last is None:
            return False
        if self._handled is None or now < self._handled - SET_BACK:  # what was done then was too early
            self._handled, self._pending = last, None
        if last <= self._handled:
            return False
        self._handled = self._pending = last
        return True

    def given_up(self, now: datetime) -> datetime | None:
        """The pending time, if it is too long ago; it is not pending any more then."""
        pending = self._pending
        if pending is None or now - pending <= GIVE_UP_AFTER:
            return None
        self._pending = None
        return pending

    def read(self, read_at: datetime) -> None:
        """There is a reading of that moment."""
        if self._pending is not None and read_at >= self._pending:
            self._pending = None

    def _around(self, now: datetime) -> Iterator[datetime]:
        """All times of yesterday, today and tomorrow."""
        today = now.astimezone(self._zone).date()
        for days in (-1, 0, 1):
            for one in self._times:
                moment = datetime.combine(today + timedelta(days), one, self._zone)
                yield moment.astimezone(timezone.utc)  # without a zone it is taken as the machine's own
