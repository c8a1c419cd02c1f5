"""What became of a telegram, for whoever waits for it."""
from __future__ import annotations

import sqlite3
import threading
from typing import Any

from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import Clock
from mbusgw.store import telegrams
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store


class Outcomes:
    """Waits for a telegram to be settled, for ``?sync=true``. **any thread**"""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._settled = threading.Condition()
        store.on_commit(self._committed)

    def wait(self, ingest_id: str, timeout: float) -> dict[str, Any] | None:
        """Status, reason and parsed result of a telegram; None when it is not parsed within ``timeout`` seconds."""
        deadline_mono = self._clock.mono() + timeout
        reader = self._store.reader()
        try:
            while True:
                document = self._document(reader, ingest_id)
                left_s = deadline_mono - self._clock.mono()
                if document["status"] != Status.RECEIVED:
                    return document
                if left_s <= 0:
                    return None
                with self._settled:
                    self._settled.wait(min(left_s, 0.25))  # a commit between look and wait is not slept over
        finally:
            reader.close()

    def _committed(self) -> None:
        with self._settled:
            self._settled.notify_all()

    @staticmethod
    def _document(reader: sqlite3.Connection, ingest_id: str) -> dict[str, Any]:
        status, reason, parsed = telegrams.outcome(reader, ingest_id) or ("unknown", None, None)
        return {
            "accepted": True,
            "ingest_id": ingest_id,
            "status": status,
            "reason": reason,
            "result": exactjson.loads(parsed) if parsed else None,
        }
