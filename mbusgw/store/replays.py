"""Running telegrams again for an administrator, as much as there is room for."""
from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from typing import Any

from mbusgw.model.errors import RequestError, StoreBusy
from mbusgw.store import archive, telegrams
from mbusgw.store.archive import Wanted
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

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
        reader = self._store.reader()
        try:
            return archive.select(reader, wanted, limit=limit, before=before)
        finally:
            reader.close()

    def show(self, ingest_id: str) -> dict[str, Any]:
        """One telegram with what became of it. Raises ``RequestError`` 404, ``StoreError``."""
        reader = self._store.reader()
        try:
            document = archive.show(reader, ingest_id)
        finally:
            reader.close()
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

        def write(connection: sqlite3.Connection) -> tuple[list[tuple[str, str]], bool]:
            room = self._max_backlog - telegrams.backlog(connection)
            return archive.replay(connection, wanted, limit=max(0, min(limit, AT_ONCE, room)))

        try:
            done, more = self._store.submit(write).result(COMMIT_TIMEOUT_S)[0]
        except FutureTimeout:
            raise StoreBusy("the database does not answer") from None
        for _, gateway_id in done:
            self._count(gateway_id)
        self._ring([ingest_id for ingest_id, _ in done])
        if done:
            log.info("%d telegrams are parsed again on request", len(done))
        return len(done), more
