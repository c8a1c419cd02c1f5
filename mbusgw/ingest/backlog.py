"""Which telegram is parsed next: a bell queue in memory, the rest on disk."""
from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence

from mbusgw.model.errors import Stopping
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.mailbox import Mailbox
from mbusgw.store import telegrams

#: Ids in memory. What does not fit waits on disk and is fetched when there is room.
BELLS = 5_000
#: How often the disk is asked for deferred telegrams whose time has come.
LOOK_S = 2.0


class Backlog:
    """Hands each waiting telegram to exactly one parser thread at a time. **any thread**

    While some wait on disk only, new ones queue up behind them there: oldest first.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bells: Mailbox[str] = Mailbox(BELLS)
        self._lock = threading.Lock()
        self._claimed: set[str] = set()
        self._behind = True  # at start everything unfinished is still on disk
        self._started = False
        self._looked_mono = float("-inf")

    def __len__(self) -> int:
        return len(self._bells)

    def ring(self, ingest_ids: Sequence[str]) -> None:
        """These telegrams wait. If the bell is full, or others wait on disk already, they are found there later."""
        if not self._behind:
            self._claim(ingest_ids)

    def take(self, timeout: float, reader: sqlite3.Connection) -> str | None:
        """The next telegram for the caller alone, until ``release``. Raises ``Stopping`` after ``close``."""
        if self._bells.closed:
            raise Stopping
        if not len(self._bells):
            self._look(reader)
        return self._bells.take(timeout)

    def release(self, ingest_id: str) -> None:
        """It is settled, or given back."""
        with self._lock:
            self._claimed.discard(ingest_id)

    def close(self) -> None:
        """No more telegrams; what waits stays on disk."""
        self._bells.close()

    def _look(self, reader: sqlite3.Connection) -> None:
        mono = self._clock.mono()
        with self._lock:
            if not self._behind and mono - self._looked_mono < LOOK_S:
                return
            # Before the disk is read: who rings from now on is not in the answer.
            self._behind = False
            self._looked_mono = mono
            limit = BELLS + len(self._claimed)
            first, self._started = not self._started, True
        # A new run tries at once what the last one deferred; its reason may be gone.
        found = telegrams.due(reader, None if first else self._clock.now(), limit)
        self._claim(found)
        if len(found) == limit:
            self._behind = True

    def _claim(self, ingest_ids: Sequence[str]) -> None:
        for ingest_id in ingest_ids:
            with self._lock:
                if ingest_id in self._claimed:
                    continue
                self._claimed.add(ingest_id)
            if not self._bells.offer(ingest_id):
                self.release(ingest_id)
                self._behind = True
                return
