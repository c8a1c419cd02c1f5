"""Times at which radio meters keep silent by design: many send only while somebody walks or drives by."""
from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ADVICE = "no quiet time: write hours, days or both, such as 20:00-06:00, Sat Sun, Fri 16:00-24:00"
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Hours of some days of the week, in local time. **immutable**

    ``days`` are numbers from 0 (Monday), on which they begin; hours that end before they begin go on into the
    next day, and those that end when they begin are the whole day.
    """

    days: frozenset[int]
    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """From ``20:00-06:00``, ``Sat Sun``, ``Fri 16:00-24:00``. Raises ``ValueError``."""
        rest, hours = text.strip(), _HOURS.search(text)
        begin = end = time(0)
        if hours is not None:
            begin, end = _time(hours[1], hours[2]), _time(hours[3], hours[4])
            rest = (text[: hours.start()] + text[hours.end() :]).strip()
        names = [name for name in re.split(r"[\s,]+", rest) if name]
        if not (names or hours):
            raise ValueError(_ADVICE)
        days = frozenset(day for name in names for day in _days(name))
        return cls(days or frozenset(range(7)), begin, end)

    def hold(self, moment: datetime) -> bool:
        """``moment`` (local time) lies in them. Any thread."""
        at, today = moment.time(), moment.weekday()
        if self.begin < self.end:
            return today in self.days and self.begin <= at < self.end
        yesterday = (moment - timedelta(days=1)).weekday()
        return today in self.days and at >= self.begin or yesterday in self.days and at < self.end


def _days(name: str) -> list[int]:
    """``Sat``, ``Saturday``, ``Mon-Fri``, ``Fri-Mon``."""
    first, dash, last = name.lower().partition("-")
    begin, end = _day(first), _day(last if dash else first)
    return [(begin + step) % 7 for step in range((end - begin) % 7 + 1)]


def _day(name: str) -> int:
    for number, day in enumerate(_DAYS):
        if name in (day, day[:3]):
            return number
    raise ValueError(_ADVICE)


def _time(hour: str, minute: str) -> time:
    if (int(hour), int(minute)) == (24, 0):
        return time(0)
    if int(hour) > 23 or int(minute) > 59:
        raise ValueError("no quiet time: a day goes from 00:00 to 24:00")
    return time(int(hour), int(minute))
