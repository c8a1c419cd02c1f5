"""Running telegrams again for an administrator, as much as there is room for."""
from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from typing import Any, TypeVar

from mbusgw.model.errors import RequestError, StoreBusy
from mbusgw.model.wording import counted
from mbusgw.store import archive, telegrams
from mbusgw.store.archive import Wanted
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

T = TypeVar("T")

COMMIT_TIMEOUT_S = 60.0
#: In one go; whoever wants more asks again.
AT_ONCE = 10_000


class Telegrams:
    """The telegrams on disk, for an administrator. **any thread**

    ``ring`` is told what is to be parsed again, ``count`` from which gateway each was.
    """

    def __init__(
        self,
        store: Store,
        *,
        max_backlog: int,
        ring: Callable[[Sequence[str]], None] = lambda _ids: None,
        count: Callable[[str], None] = lambda _gateway: None,
    ) -> None:
        self._store = store
        self._max_backlog = max_backlog
        self._ring = ring
        self._count = count

    def select(
        self, wanted: Wanted, *, limit: int, before: int | None = None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """The newest that are wanted, and where the next page begins. Raises ``StoreError``."""
        return self._read(lambda reader: archive.select(reader, wanted, limit=limit, before=before))

    def show(self, ingest_id: str) -> dict[str, Any]:
        """One telegram with what became of it. Raises ``RequestError`` 404, ``StoreError``."""
        document = self._read(lambda reader: archive.show(reader, ingest_id))
        if document is None:
            raise RequestError(404, "not_found", f"there is no telegram {ingest_id:.64}")
        return document

    def replay(self, wanted: Wanted, *, limit: int = AT_ONCE) -> tuple[int, bool]:
        """How many are parsed again now (those least tried first, then the oldest), and whether there are more.

        Not more than fit into the backlog, which gateways need too. Raises ``RequestError``, ``StoreError``.
        """
        if wanted.everything:
            raise RequestError(400, "no_filter", "say which: status, meter, gateway, since, until or ingest_ids")
        if not wanted.statuses and not wanted.ingest_ids:
            wanted = replace(wanted, statuses=archive.UNREAD)

        limit = min(limit, AT_ONCE)
        # They are looked for here and not by the writer: that may take seconds, and gateways wait for it.
        found = self._read(lambda reader: archive.replayable(reader, wanted, limit=limit + 1))

        def write(connection: sqlite3.Connection) -> list[tuple[str, str]]:
            room = max(0, self._max_backlog - telegrams.backlog(connection))
            return archive.replay(connection, found[: min(limit, room)])

        try:
            done = self._store.submit(write).result(COMMIT_TIMEOUT_S)[0]
        except FutureTimeout:
            raise StoreBusy("the database does not answer") from None
        for _, gateway_id in done:
            self._count(gateway_id)
        self._ring([ingest_id for ingest_id, _ in done])
        if done:
            log.info("%s parsed again on request", counted(len(done), "telegram is", "telegrams are"))
        return len(done), len(found) > len(done)

    def _read(self, look: Callable[[sqlite3.Connection], T]) -> T:
        reader = self._store.reader()
        try:
            return look(reader)
        finally:
            reader.close()
