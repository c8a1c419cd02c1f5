"""The mappings of Lobaro's domain model in table ``domain_mappings``: every version stays, one is in force."""
from __future__ import annotations

import logging
import sqlite3
import threading
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

from mbusgw.model.errors import ConfigError, Problem, RequestError, StoreBusy, StoreError
from mbusgw.model.ports import Write
from mbusgw.runtime.clock import Clock, iso
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

COMMIT_TIMEOUT_S = 10.0
#: How often the table is looked at, which others may change as well.
LOOK_S = 5.0
_COLUMNS = "id, version, json, active, created_at"


@dataclass(frozen=True, slots=True)
class StoredMapping:
    """One version. **immutable**"""

    id: int
    version: int
    text: str
    active: bool
    created_at: str | None


class Mappings:
    """The versions, and the one in force. **any thread**"""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._known = False  # before the first look, no mapping must not be taken for the service's own
        self._body: bytes | None = None
        self._looked_mono = float("-inf")

    # -------------------------------------------------- in force
    def body(self) -> bytes | None:
        """The mapping in force, as JSON text; None for the service's own. Raises ``ConfigError``."""
        mono = self._clock.mono()
        with self._lock:
            if self._known and mono - self._looked_mono < LOOK_S:
                return self._body
            self._looked_mono = mono
        try:
            active = self.active()
        except StoreError as error:
            with self._lock:
                self._looked_mono = float("-inf")
            raise ConfigError([Problem("domain_mappings", None, "", str(error))]) from None
        body = active.text.encode() if active else None
        with self._lock:
            self._known, self._body = True, body
        return body

    def active(self) -> StoredMapping | None:
        """The version in force. Raises ``StoreError``."""
        found = self._select("WHERE active ORDER BY id DESC LIMIT 1")
        return found[0] if found else None

    # -------------------------------------------------- versions
    def versions(self) -> list[StoredMapping]:
        """All, the newest first. Raises ``StoreError``."""
        return self._select("ORDER BY id DESC")

    def get(self, number: int) -> StoredMapping:
        """One version by its id. Raises ``RequestError`` 404, ``StoreError``."""
        found = self._select("WHERE id = ?", number)
        if not found:
            raise RequestError(404, "not_found", f"there is no mapping {number}")
        return found[0]

    def put(self, text: str) -> StoredMapping:
        """Makes ``text`` (checked already) the version in force; the same text again makes no new one.

        Raises ``StoreError``.
        """
        now = iso(self._clock.now())

        def write(connection: sqlite3.Connection) -> int:
            same = connection.execute(
                "SELECT id FROM domain_mappings WHERE json = ? ORDER BY id DESC LIMIT 1", (text,)
            ).fetchone()
            if same is None:
                same = connection.execute(
                    "INSERT INTO domain_mappings (json, version, active, created_at) VALUES"
                    " (?, (SELECT coalesce(max(version), 0) + 1 FROM domain_mappings), 0, ?) RETURNING id",
                    (text, now),
                ).fetchone()
            _activate(connection, same[0])
            return int(same[0])

        return self._changed(write)

    def activate(self, number: int) -> StoredMapping:
        """Puts a version in force again. Raises ``RequestError`` 404, ``StoreError``."""

        def write(connection: sqlite3.Connection) -> int:
            if connection.execute("SELECT 1 FROM domain_mappings WHERE id = ?", (number,)).fetchone() is None:
                raise RequestError(404, "not_found", f"there is no mapping {number}")
            _activate(connection, number)
            return number

        return self._changed(write)

    def _changed(self, write: Write) -> StoredMapping:
        try:
            number: int = self._store.submit(write).result(COMMIT_TIMEOUT_S)[0]
        except FutureTimeout:
            raise StoreBusy("the database does not answer") from None
        with self._lock:
            self._looked_mono = float("-inf")
        stored = self.get(number)
        log.info("mapping %d (version %d) is in force", stored.id, stored.version)
        return stored

    def _select(self, condition: str, *values: Any) -> list[StoredMapping]:
        reader = self._store.reader()
        try:
            rows = reader.execute(f"SELECT {_COLUMNS} FROM domain_mappings {condition}", values).fetchall()
        finally:
            reader.close()
        return [StoredMapping(row[0], row[1], row[2], bool(row[3]), row[4]) for row in rows]


def _activate(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("UPDATE domain_mappings SET active = (id = ?) WHERE active != (id = ?)", (number, number))
