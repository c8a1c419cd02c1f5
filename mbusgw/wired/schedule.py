"""When a meter is due."""
from __future__ import annotations

import zlib
from math import inf

#: However long the interval, the first values shall be there soon.
FIRST_WITHIN_S = 5.0


class Schedule:
    """Due times of one meter: every ``interval_s`` (None: only the first), at an offset of its own. **own thread**

    The offset (from the name, so it is the same after each restart) keeps the meters of a
    bus from being due all at once. What was missed is skipped, not caught up with: a late
    read does not move the later ones.
    """

    def __init__(self, name: str, interval_s: float | None) -> None:
        self.interval_s = interval_s
        self._share = zlib.crc32(name.encode()) / 2**32
        self._origin_mono: float | None = None
        self.due_mono = 0.0

    def begin(self, now_mono: float) -> None:
        """The first read: within five seconds, or the interval where that is shorter."""
        interval_s = FIRST_WITHIN_S if self.interval_s is None else self.interval_s
        self._origin_mono = now_mono + self._share * interval_s
        self.due_mono = now_mono + self._share * min(interval_s, FIRST_WITHIN_S)

    @property
    def begun(self) -> bool:
        """The first due time is set."""
        return self._origin_mono is not None

    def advance(self, now_mono: float) -> None:
        """A read is done: the next one at the meter's own offset, at least half an interval from now."""
        if self.interval_s is None:
            self.due_mono = inf
            return
        origin_mono = now_mono if self._origin_mono is None else self._origin_mono
        earliest_mono = now_mono + self.interval_s / 2
        rounds = max(0, -int((origin_mono - earliest_mono) // self.interval_s))
        self.due_mono = origin_mono + rounds * self.interval_s

    def postpone(self, now_mono: float, seconds: float) -> None:
        """A read failed: try again after ``seconds``, whatever the interval."""
        self.due_mono = now_mono + seconds
