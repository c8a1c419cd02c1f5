"""Takes radio telegrams in: on disk first, then the answer."""
from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import datetime
from typing import Protocol

from mbusgw.ingest.content import content_of
from mbusgw.ingest.fleet import Fleet
from mbusgw.ingest.receptions import Receptions
from mbusgw.model.errors import RequestError, StoreBusy, StoreError
from mbusgw.model.submission import Accepted, Submission
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.condition import Condition
from mbusgw.runtime.identifier import new_id
from mbusgw.runtime.metrics import Metrics
from mbusgw.store import arrivals, outbox, telegrams
from mbusgw.store.outbox import Message
from mbusgw.store.vault import PLAIN, Vault
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

#: A gateway waits no longer for its answer; the commit takes milliseconds unless the disk is in trouble.
COMMIT_TIMEOUT_S = 5.0
RETRY_AFTER_S = 30


class RawMessages(Protocol):
    """Says that a telegram was accepted."""

    def raw(self, telegram: ReceivedTelegram, *, duplicate: bool = False) -> Message:
        """The message for the raw topic."""


class Intake:
    """Stores telegrams and says yes only when they are durable. **any thread** (the HTTP handlers')"""

    def __init__(
        self,
        store: Store,
        messages: RawMessages,
        ring: Callable[[Sequence[str]], None],
        *,
        dedup_window_s: float | None,
        max_backlog: int,
        max_outbox: int,
        receptions: Receptions,
        fleet: Fleet,
        metrics: Metrics,
        clock: Clock,
        vault: Vault = PLAIN,
    ) -> None:
        self._store = store
        self._vault = vault
        self._receptions = receptions
        self._fleet = fleet
        self._messages = messages
        self._ring = ring
        self._dedup_window_s = dedup_window_s
        self._max_backlog = max_backlog
        self._max_outbox = max_outbox
        self._metrics = metrics
        self._clock = clock
        self._condition = Condition(log, "taking in telegrams", clock, level=logging.ERROR)

    def accept(self, submissions: Sequence[Submission]) -> list[Accepted]:
        """Stores all of ``submissions`` in one transaction; returns when they are on the disk.

        Raises ``RequestError`` (503 with Retry-After) when there is no room or the store
        does not answer; then none of them is stored, or at least none was promised.
        """
        now = self._clock.now()
        received = [self._received(submission, now) for submission in submissions]
        try:
            unit = self._write(received, [content_of(telegram.raw) for telegram in received])
            accepted: list[Accepted] = self._store.submit(unit).result(COMMIT_TIMEOUT_S)[0]
        except (RequestError, StoreError) as error:
            raise self._refused(received, error) from None
        except FutureTimeout:
            raise self._refused(received, StoreBusy("the database does not answer")) from None
        self._condition.cleared("works again")
        self._ring([answer.ingest_id for answer in accepted if not answer.duplicate])
        self._note(received, accepted)
        return accepted

    def _note(self, received: Sequence[ReceivedTelegram], accepted: Sequence[Accepted]) -> None:
        """Counts what was taken in, and tells who heard what again."""
        taken: Counter[str] = Counter()
        known: Counter[str] = Counter()
        for telegram, answer in zip(received, accepted):
            taken[telegram.gateway_id] += 1
            if answer.duplicate_of is not None:
                known[telegram.gateway_id] += 1
                self._receptions.again(telegram, answer.duplicate_of)
            self._metrics.telegram(telegram.gateway_id, "duplicate" if answer.duplicate else "accepted")
        for gateway_id, count in taken.items():
            self._fleet.contact(gateway_id, telegrams=count, duplicates=known[gateway_id])

    def _received(self, submission: Submission, now: datetime) -> ReceivedTelegram:
        return ReceivedTelegram(
            ingest_id=new_id(now),
            gateway_id=submission.gateway_id,
            raw=submission.raw,
            rx_time=submission.rx_time or now,
            created_at=now,
            rssi_dbm=submission.rssi_dbm,
            mode=submission.mode,
            hint_meter_id=submission.hint_meter_id,
            hint_manufacturer=submission.hint_manufacturer,
            key=submission.key,
        )

    def _write(
        self, received: Sequence[ReceivedTelegram], contents: Sequence[bytes]
    ) -> Callable[[sqlite3.Connection], list[Accepted]]:
        def write(connection: sqlite3.Connection) -> list[Accepted]:
            if telegrams.backlog(connection) + len(received) > self._max_backlog:
                raise RequestError(
                    503, "backlog_full", "too many telegrams wait for the parser", retry_after_s=RETRY_AFTER_S
                )
            accepted = arrivals.insert(
                connection, received, dedup_window_s=self._dedup_window_s, contents=contents, vault=self._vault
            )
            # They are not parsed again, but whoever counts what was acknowledged must find them.
            again = [telegram for telegram, answer in zip(received, accepted) if answer.duplicate]
            if again:
                self._tell_of(again, connection)
            return accepted

        return write

    def _tell_of(self, duplicates: Sequence[ReceivedTelegram], connection: sqlite3.Connection) -> None:
        if outbox.telemetry(connection) + len(duplicates) > self._max_outbox:
            raise RequestError(
                503, "outbox_full", "too many messages wait for the broker", retry_after_s=RETRY_AFTER_S
            )
        messages = [self._messages.raw(telegram, duplicate=True) for telegram in duplicates]
        outbox.put(connection, messages, duplicates[0].created_at)

    def _refused(self, received: Sequence[ReceivedTelegram], error: RequestError | StoreError) -> RequestError:
        for telegram in received:
            self._metrics.telegram(telegram.gateway_id, "refused")
        self._condition.failed(error)
        if isinstance(error, RequestError):
            return error
        return RequestError(
            503, "store_unavailable", "the telegram cannot be stored now; send it again", retry_after_s=RETRY_AFTER_S
        )
