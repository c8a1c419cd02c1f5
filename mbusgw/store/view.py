"""A worker that looks into the database."""
from __future__ import annotations

import sqlite3

from mbusgw.runtime.clock import Clock
from mbusgw.runtime.worker import Worker
from mbusgw.store.writer import Store


class WorkerWithView(Worker):
    """Has a read-only connection of its own from ``setup`` to ``teardown``, also after a crash. **own thread**"""

    def __init__(self, name: str, store: Store, clock: Clock, *, limit_s: float = 60) -> None:
        super().__init__(name, clock, limit_s=limit_s)
        self._store = store
        self._view: sqlite3.Connection | None = None

    @property
    def view(self) -> sqlite3.Connection:
        """The connection; there is one while the worker works."""
        assert self._view is not None, "setup() comes first"
        return self._view

    def setup(self) -> None:
        """Opens it. Raises ``StoreError``."""
        self._view = self._store.reader()

    def teardown(self) -> None:
        """Closes it."""
        if self._view is not None:
            self._view.close()
            self._view = None
