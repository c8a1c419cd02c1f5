"""Trouble that lasts: said once when it begins and once when it ends, with the count between."""
from __future__ import annotations

import logging

from mbusgw.model.errors import MbusgwError
from mbusgw.runtime.clock import Clock


class Condition:
    """One thing that works or does not. **own thread**

    ``failed`` logs the first failure, and later ones only if they are of another kind than
    all before; ``cleared`` logs the end. In between every failure is counted and kept quiet.
    """

    def __init__(self, log: logging.Logger, subject: str, clock: Clock) -> None:
        self._log = log
        self._subject = subject
        self._clock = clock
        self._kinds: set[type[MbusgwError]] = set()
        self._since_mono = 0.0
        self.failures = 0

    def failed(self, error: MbusgwError) -> None:
        """It failed (again)."""
        if not self.failures:
            self._since_mono = self._clock.mono()
        self.failures += 1
        if type(error) in self._kinds:
            self._log.debug("%s: %s", self._subject, error)
            return
        self._kinds.add(type(error))
        advice = f" ({error.hint})" if error.hint else ""
        self._log.warning("%s: %s%s", self._subject, error, advice)

    def cleared(self, message: str) -> None:
        """It works (again)."""
        if self.failures:
            lasted_s = self._clock.mono() - self._since_mono
            times = f"{self.failures} failure{'s' if self.failures != 1 else ''}"
            self._log.info("%s: %s after %s in %.0f s", self._subject, message, times, lasted_s)
        self.failures = 0
        self._kinds.clear()
