"""What is said once, and not each time."""
from __future__ import annotations

import threading


class Once:
    """Remembers what was said, up to ``most`` things: somebody may send anything. Then it forgets, rather than grow.

    **any thread**
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._said: set[tuple[str, ...]] = set()

    def begins(self, *what: str) -> bool:
        """True the first time."""
        with self._lock:
            if what in self._said:
                return False
            if len(self._said) >= self._most:
                self._said.clear()
            self._said.add(what)
            return True

    def ends(self, *what: str) -> bool:
        """True when it was so until now; the next time is the first again."""
        if not self._said:  # the usual case, without the lock
            return False
        with self._lock:
            known = what in self._said
            self._said.discard(what)
            return known
