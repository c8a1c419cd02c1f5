"""Trouble that lasts: said once when it begins and once when it ends, with the count between."""
from __future__ import annotations

import logging
import threading

from mbusgw.model.errors import MbusgwError
from mbusgw.model.wording import counted
from mbusgw.runtime.clock import Clock


class Condition:
    """One thing that works or does not. **any thread**

    ``failed`` logs the first failure (at ``level``), and later ones only if they are of another kind than
    all before; ``cleared`` logs the end. In between every failure is counted and kept quiet.
    """

    def __init__(self, log: logging.Logger, subject: str, clock: Clock, *, level: int = logging.WARNING) -> None:
        self._log = log
        self._subject = subject
        self._clock = clock
        self._level = level
        self._lock = threading.Lock()
        self._kinds: set[type[MbusgwError]] = set()
        self._since_mono = 0.0
        self._failures = 0

    @property
    def failures(self) -> int:
        """How many since it last worked; 0 while it works."""
        return self._failures

    def failed(self, error: MbusgwError) -> None:
        """It failed (again)."""
        with self._lock:
            if not self._failures:
                self._since_mono = self._clock.mono()
            self._failures += 1
            said = type(error) in self._kinds
            self._kinds.add(type(error))
        if said:
            self._log.debug("%s: %s", self._subject, error)
            return
        advice = f" ({error.hint})" if error.hint else ""
        self._log.log(self._level, "%s: %s%s", self._subject, error, advice)

    def cleared(self, message: str) -> None:
        """It works (again)."""
        if not self._failures:  # the usual case, without the lock
            return
        with self._lock:
            failures, self._failures = self._failures, 0
            lasted_s = self._clock.mono() - self._since_mono
            self._kinds.clear()
        if failures:  # else another thread has told it meanwhile
            self._log.info("%s: %s after %s in %.0f s", self._subject, message, counted(failures, "failure"), lasted_s)
