"""What clients do wrong, said once when it begins and once when it ends."""
from __future__ import annotations

import threading

#: So many are remembered at most: somebody may try from everywhere.
REMEMBERED = 1000


class Wrongs:
    """Remembers who does what wrong at the moment, so that the log is told once and not with every request.
    **any thread**"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: set[tuple[str, str]] = set()

    def begins(self, what: str, who: str) -> bool:
        """True the first time ``who`` does ``what``."""
        with self._lock:
            if (what, who) in self._known:
                return False
            if len(self._known) >= REMEMBERED:
                self._known.clear()  # forget, rather than grow
            self._known.add((what, who))
            return True

    def ends(self, what: str, who: str) -> bool:
        """True when ``who`` did ``what`` until now."""
        if not self._known:  # the usual case, without the lock
            return False
        with self._lock:
            if (what, who) not in self._known:
                return False
            self._known.discard((what, who))
            return True
