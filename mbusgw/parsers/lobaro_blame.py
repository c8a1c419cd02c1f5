"""Whose fault it is that the Lobaro parser has no answer: the telegram's, or the service's.

An outage is the same for all. So what is this telegram's own is told by others: they are answered, and it is not.
"""
from __future__ import annotations

import threading
from collections import OrderedDict

from mbusgw.model.errors import LobaroBadRequestError, LobaroTimeoutError, LobaroUnavailableError, MbusgwError
from mbusgw.parsers.lobaro_outcome import Outcome, Senseless, ServerError, ServerSaysParse
from mbusgw.runtime.clock import Clock

#: So often all tries of a telegram end without an answer, while others are answered, before it is given up: once may be
#: bad luck, or too much work there. A server that stumbles over it says so at once.
VISITS, STUMBLES = 4, 1
#: So many senseless answers in a row are no telegrams' fault.
ASTRAY = 5
#: Telegrams that are remembered.
REMEMBERED = 10_000


class Blame:
    """What was answered lately, and what was not. **any thread**"""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._answered_mono = float("-inf")
        self._senseless = 0  # since the last one that made sense
        self._visits: OrderedDict[bytes, tuple[float, int]] = OrderedDict()  # by telegram: the last one, how many count

    @property
    def answered(self) -> bool:
        """Whether the service ever answered."""
        return self._answered_mono > float("-inf")

    @property
    def astray(self) -> LobaroUnavailableError | None:
        """That what answers is not the parser (a login page, maintenance), or out of order, when it looks so."""
        if self._senseless < ASTRAY:
            return None
        return LobaroUnavailableError(
            f"its last {self._senseless} answers made no sense, and each has failed its telegram",
            hint="does something else answer at lobaro.url? `mbusgw telegrams replay` reads them once it is right",
        )

    def judge(self, raw: bytes, outcome: Outcome) -> Outcome:
        """``outcome`` of all tries for a telegram, or in the end that it is this telegram's trouble.

        It must not be tried for ever, and not hold others up.
        """
        with self._lock:
            if isinstance(outcome, Senseless):
                self._senseless += 1
            if not isinstance(outcome, MbusgwError):
                self._answered_mono, self._senseless = self._clock.mono(), 0
            is_open = isinstance(outcome, (LobaroTimeoutError, LobaroUnavailableError))
            if not is_open or isinstance(outcome, ServerSaysParse):
                self._visits.pop(raw, None)
                return outcome
            now_mono = self._clock.mono()
            last_mono, count = self._visits.pop(raw, (now_mono, 0))
            count += self._answered_mono > last_mono
            if count >= (STUMBLES if isinstance(outcome, ServerError) else VISITS):
                return LobaroBadRequestError(f"Lobaro answers others, and never this telegram: {outcome}")
            self._visits[raw] = (now_mono, count)
            if len(self._visits) > REMEMBERED:
                self._visits.popitem(last=False)
        return outcome
