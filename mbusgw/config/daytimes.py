"""Times of the day at which a meter is read, and how often else."""
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import time
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator

from mbusgw.config.kinds import LONGEST_S, parse_duration

DAY_S = 86400.0
#: ``interval: off``: read at the times of the day only.
NEVER = 0.0
MAX_TIMES = 48

_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")


def parse_day_time(value: Any) -> time:
    """The time of the day in ``"06:30"`` or ``"06:30:15"``. Raises ``ValueError``. **any thread**

    YAML reads 12:30 without quotes as the number 750, minutes since midnight.
    """
    if isinstance(value, time):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(value // 60, value % 60)
    match = _CLOCK.fullmatch(str(value).strip())
    if match is None:
        raise ValueError('no time of the day: write it in quotes, such as "00:00" or "06:30"')
    hour, minute, second = (int(part or 0) for part in match.groups())
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("a time of the day is from 00:00 to 23:59")
    return time(hour, minute, second)


def parse_day_times(value: Any) -> tuple[time, ...]:
    """One or several times of the day, in order. Raises ``ValueError``. **any thread**"""
    several = isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict))
    times = tuple(sorted({parse_day_time(one) for one in (value if several else (value,))}))
    if len(times) > MAX_TIMES:
        raise ValueError(f"at most {MAX_TIMES} times; `interval` reads more often")
    return times


def longest_gap_s(times: Sequence[time]) -> float:
    """Seconds between two of the times that are next to each other, at most; a whole day where there is one."""
    if not times:
        return DAY_S
    seconds = [one.hour * 3600.0 + one.minute * 60 + one.second for one in times]
    return max(after - before for before, after in pairwise([*seconds, seconds[0] + DAY_S]))


def _parse_interval(value: Any) -> float:
    if value is False or str(value).strip().lower() in ("off", "never"):  # YAML reads off as false
        return NEVER
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError("must be more than 0, or `off` to read at the times of `at` only")
    return seconds


DayTimes = Annotated[tuple[time, ...], PlainValidator(parse_day_times)]
#: Seconds, or ``NEVER``.
Interval = Annotated[float, BeforeValidator(_parse_interval), Field(ge=0, le=LONGEST_S, allow_inf_nan=False)]
