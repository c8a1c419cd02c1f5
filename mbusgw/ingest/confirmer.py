"""Asks the service later about readings that our own decoder made while it was away (``lobaro.confirm_later``)."""
from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import timedelta
from typing import Protocol

from mbusgw.ingest.guard import guarded
from mbusgw.ingest.keys import candidates
from mbusgw.model.errors import DecodeError, KeyLocked, KeyMissing, KeyWrong, MbusgwError, ParserError, StoreError
from mbusgw.model.ports import Write
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.parsers.base import ParsedTelegram, ParserBackend
from mbusgw.parsers.chain import differences
from mbusgw.parsers.sender import identify
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.metrics import Metrics
from mbusgw.store import confirmations
from mbusgw.store import differences as differences_on_disk
from mbusgw.store import outbox, telegrams
from mbusgw.store.keyring import Keyring
from mbusgw.store.outbox import Message
from mbusgw.store.view import WorkerWithView
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

COMMIT_TIMEOUT_S = 30.0
#: How often it looks for something to ask.
LOOK_S = 5.0
#: The pause after the service could not be asked, then twice that, up to the last.
PAUSES_S = (60.0, 3600.0)
#: After so many tries in vain nobody asks any more.
TRIES = 50


class ConfirmationMessages(Protocol):
    """Says that a reading was confirmed."""

    def confirmation(
        self, telegram: ReceivedTelegram, said: dict[str, object], answer: ParsedTelegram, found: list[str]
    ) -> Message: ...


class Confirmer(WorkerWithView):
    """Fetches the service's answer for each reading that waits for it, one at a time, oldest first. **own thread**

    ``open_for_calls`` says whether the service is thought to answer. ``service`` and ``own`` are the two parsers.
    """

    def __init__(
        self,
        store: Store,
        service: ParserBackend,
        own: ParserBackend,
        *,
        messages: ConfirmationMessages,
        keyring: Keyring,
        open_for_calls: Callable[[], bool],
        max_outbox: int,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        super().__init__("confirm", store, clock, limit_s=120)
        self._service = service
        self._own = own
        self._messages = messages
        self._keyring = keyring
        self._open_for_calls = open_for_calls
        self._max_outbox = max_outbox
        self._metrics = metrics

    def step(self) -> None:
        """One question, if there is one and the service is there."""
        due = None
        if self._open_for_calls() and self._store.count("telemetry") < self._max_outbox:
            due = confirmations.due(self.view, self.clock.now())
        if due is None or not self._commit(self._outcome(*due)):
            self.wait(LOOK_S)

    # ------------------------------------------------------------------ one reading
    def _outcome(self, ingest_id: str, attempts: int) -> list[Write]:
        """What is to be written after asking about one."""
        kept = telegrams.load(self.view, ingest_id, self._keyring.vault)
        said = confirmations.result(self.view, ingest_id)
        if kept is None or said is None:
            return [confirmations.done(ingest_id)]
        telegram = kept[0]
        try:
            key = self._key(telegram)
            answer = guarded(telegram, lambda: self._service.parse(telegram, key))
            found = guarded(telegram, lambda: self._differences(telegram, key, answer))
        except (DecodeError, ParserError) as error:
            return self._unanswered(telegram, error, attempts)
        return self._answered(telegram, said, answer, found)

    def _unanswered(self, telegram: ReceivedTelegram, error: MbusgwError, attempts: int) -> list[Write]:
        if error.retryable and attempts < TRIES:
            pause_s = min(PAUSES_S[0] * 2.0 ** min(attempts, 20), PAUSES_S[1])
            return [confirmations.postpone(telegram.ingest_id, self.clock.now() + timedelta(seconds=pause_s))]
        log.info("the reading of telegram %s is not confirmed: %s", telegram.ingest_id, error)
        self._metrics.lobaro_confirmation("failed")
        return [confirmations.done(telegram.ingest_id)]

    def _answered(
        self, telegram: ReceivedTelegram, said: dict[str, object], answer: ParsedTelegram, found: list[str]
    ) -> list[Write]:
        now = self.clock.now()
        message = self._messages.confirmation(telegram, said, answer, found)
        writes: list[Write] = [
            confirmations.done(telegram.ingest_id),
            confirmations.confirm(telegram.ingest_id, message.payload, now),
            outbox.enqueue([message], now),
        ]
        if found:
            log.warning("telegram %s: Lobaro reads it differently: %s", telegram.ingest_id, "; ".join(found))
            meter = answer.decoded.header.meter if answer.decoded else None
            writes.append(differences_on_disk.keep(telegram, meter.id if meter else None, found, now))
            self._metrics.parsers_differ(telegram.gateway_id)
        self._metrics.lobaro_confirmation("different" if found else "confirmed")
        return writes

    def _differences(self, telegram: ReceivedTelegram, key: bytes | None, answer: ParsedTelegram) -> list[str]:
        try:
            own = self._own.parse(telegram, key)
        except KeyMissing:
            return []  # its key came with the request and is forgotten
        except (DecodeError, ParserError) as error:
            return [f"only Lobaro can read it now ({error})"]
        return differences(answer.decoded, own.decoded)

    def _key(self, telegram: ReceivedTelegram) -> bytes | None:
        """The first key that the telegram can be opened with."""
        found: bytes | None = None
        try:
            for key in candidates(self.view, telegram, identify(telegram.raw), self._keyring):
                found = key.key
                try:
                    self._own.parse(telegram, found)
                    return found
                except KeyWrong:
                    continue
        except KeyLocked:
            return None
        return found

    def _commit(self, writes: list[Write]) -> bool:
        try:
            self._store.submit(*writes).result(COMMIT_TIMEOUT_S)
        except (StoreError, FutureTimeout) as error:
            log.debug("a confirmation could not be stored, it is asked again: %s", error)
            return False
        return True
