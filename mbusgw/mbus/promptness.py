"""Whether a port passes each byte on as it comes, told from how bytes come.

Many drivers do not say for how long they collect bytes, so each silent address must be given the time that the worst of
them take. One that collects hands over several bytes at once; where bytes come one by one, none is held back for
longer than until the next one is there.
"""
from __future__ import annotations

#: So many bytes must have come alone, each about a byte's time after the one before.
ALONE_MIN = 24
ALONE_BYTE_TIMES = (0.5, 1.5)
#: After so many bytes without that, the port is one that collects.
LOOK_AT_MAX = 400
#: A frame of USB (1 ms), the host's controller and its driver: what a byte takes besides.
PASSING_S = 0.003


class Promptness:
    """How late bytes may reach us, at one speed. **own thread**

    ``slack_s`` is at first what the port says, or with ``guessed`` what somebody took for it; ``byte_s``: the time of a
    byte on the wire.
    """

    def __init__(self, slack_s: float, *, guessed: bool, byte_s: float) -> None:
        self.slack_s = slack_s
        self._byte_s = byte_s
        self._left = LOOK_AT_MAX if guessed and slack_s > self._prompt_s else 0
        self._alone = 0
        self._last_mono = float("-inf")

    @property
    def is_open(self) -> bool:
        """Not known yet: each byte is to be looked at as it comes."""
        return self._left > 0

    def came(self, at_mono: float, count: int) -> bool:
        """``count`` bytes were handed over; whether ``slack_s`` is another one now."""
        after, self._last_mono = (at_mono - self._last_mono) / self._byte_s, at_mono
        if not self.is_open:
            return False
        self._left = max(0, self._left - count)
        least, most = ALONE_BYTE_TIMES
        self._alone += count == 1 and least <= after <= most
        if self._alone < ALONE_MIN:
            return False
        self._left, self.slack_s = 0, self._prompt_s
        return True

    @property
    def _prompt_s(self) -> float:
        return ALONE_BYTE_TIMES[1] * self._byte_s + PASSING_S
