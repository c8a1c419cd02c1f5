"""Whose fault it is that the Lobaro parser has no answer: the telegram's, or the service's.

An outage is the same for all. So what is this telegram's own is told by others: they are answered, and it is not.
"""
from __future__ import annotations

import threading
from collections import OrderedDict

from mbusgw.model.errors import LobaroBadRequestError, LobaroTimeoutError, LobaroUnavailableError
from mbusgw.parsers.lobaro_outcome import Outcome
from mbusgw.runtime.clock import Clock

#: So often all tries of a telegram fail, while others are answered, before it is given up.
VISITS = 5
#: So many telegrams in a row over which it stumbles make that usual for their meter.
USUAL = 3
#: An outage that began after this is not noticed at once where a meter's telegrams always make the service stumble.
RECENT_S = 10.0
#: Telegrams, and meters, that are remembered.
REMEMBERED = 10_000


class Blame:
    """What was answered lately, and what was not. **any thread**"""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._answered_mono = float("-inf")
        self._stumbling: OrderedDict[bytes, int] = OrderedDict()  # by meter
        self._visits: OrderedDict[bytes, int] = OrderedDict()  # by telegram

    def answered(self, raw: bytes) -> None:
        """The service does its work: it has read this telegram, or says why that cannot be."""
        self._answered_mono = self._clock.mono()
        if self._stumbling or self._visits:
            with self._lock:
                self._stumbling.pop(_meter(raw), None)
                self._visits.pop(raw, None)

    def answered_since(self, mono: float) -> bool:
        """Whether it has answered a telegram since then."""
        return self._answered_mono > mono

    def is_usual(self, raw: bytes) -> bool:
        """Whether it stumbled over the last telegrams of this meter too, and has answered others just now: then it need
        not be asked twice."""
        usual = self._stumbling.get(_meter(raw), 0) >= USUAL
        return usual and self.answered_since(self._clock.mono() - RECENT_S)

    def stumbled(self, raw: bytes, how: str) -> LobaroBadRequestError:
        """It stumbles over this telegram, and answers others."""
        with self._lock:
            self._stumbling[_meter(raw)] = self._stumbling.pop(_meter(raw), 0) + 1
            if len(self._stumbling) > REMEMBERED:
                self._stumbling.popitem(last=False)
        return LobaroBadRequestError(f"Lobaro answers others, and for this telegram has {how}")

    def of_visit(self, raw: bytes, outcome: Outcome, begun_mono: float) -> Outcome:
        """``outcome`` of all tries since ``begun_mono``; of a telegram over which the service hangs or breaks off each
        time, while it answers others, in the end that it is its own.

        One such time may be bad luck, or too much work there. It must not be tried for ever and keep others waiting.
        """
        troubled = isinstance(outcome, (LobaroTimeoutError, LobaroUnavailableError))
        if not troubled or not self.answered_since(begun_mono):
            return outcome
        with self._lock:
            visits = self._visits[raw] = self._visits.pop(raw, 0) + 1
            if visits < VISITS:
                if len(self._visits) > REMEMBERED:
                    self._visits.popitem(last=False)
                return outcome
            del self._visits[raw]
        return LobaroBadRequestError(f"Lobaro answers others, and never this telegram: {outcome}")


def _meter(raw: bytes) -> bytes:
    """The sender's address in the link layer, as sent."""
    return raw[2:10]
