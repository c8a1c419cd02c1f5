"""The parser threads: a telegram from the disk to a reading, a reason, or a promise."""
from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import datetime, timedelta
from typing import Any, Protocol

from mbusgw.ingest.backlog import Backlog
from mbusgw.ingest.guard import guarded
from mbusgw.ingest.keys import names
from mbusgw.ingest.parsing import TelegramParser
from mbusgw.ingest.reasons import Reasons
from mbusgw.ingest.receptions import Receptions
from mbusgw.model.errors import (
    FormatPending,
    GatewayExcluded,
    KeyMissing,
    KeyWrong,
    MbusgwError,
    ParserError,
    StoreError,
)
from mbusgw.model.ports import Delivery, Write
from mbusgw.model.reading import Reading
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.parsers.base import ParsedTelegram
from mbusgw.parsers.sender import Sender, identify
from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.metrics import Metrics
from mbusgw.store import arrivals, confirmations, differences, outbox, telegrams
from mbusgw.store.keyring import Keyring
from mbusgw.store.outbox import Message
from mbusgw.store.telegrams import Status
from mbusgw.store.view import WorkerWithView
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

COMMIT_TIMEOUT_S = 30.0
#: A deferred telegram is tried again after this, then twice that, up to the last.
DEFER_S = (15.0, 600.0)
#: The same for one that is called when what it waits for is there (``telegrams.recall``, ``telegrams.arrived``): each
#: look costs a commit, and a hundred thousand may wait for a weekend.
CALLED_DEFER_S = (15.0, 3600.0)
#: How long a compact frame waits for its format, and how often it is tried at least: a clock that jumps ends no wait.
FORMAT_WAIT = timedelta(days=1)
FORMAT_TRIES = 24


class TelegramMessages(Protocol):
    """Says what became of a telegram."""

    def raw(self, telegram: ReceivedTelegram, *, duplicate: bool = False) -> Message: ...

    def reading(self, telegram: ReceivedTelegram, reading: Reading | None, parsed: ParsedTelegram) -> Message: ...

    def error(
        self, telegram: ReceivedTelegram, error: MbusgwError, *, status: str, retry_at: datetime | None
    ) -> Message: ...


class ParseWorker(WorkerWithView):
    """One of the parser threads. What it finds out is one transaction: status, result, messages, state.

    While the outbox is full it parses nothing: the telegrams wait on disk, which has room
    for them, and the ingress refuses when that is full as well. **own thread**
    """

    def __init__(
        self,
        number: int,
        backlog: Backlog,
        store: Store,
        parser: TelegramParser,
        *,
        messages: TelegramMessages,
        delivery: Delivery,
        receptions: Receptions,
        reasons: Reasons,
        max_outbox: int,
        keyring: Keyring,
        metrics: Metrics,
        clock: Clock,
        confirm_later: bool = False,
    ) -> None:
        super().__init__(f"parse:{number}", store, clock, limit_s=120)
        self._backlog = backlog
        self._parser = parser
        self._messages = messages
        self._delivery = delivery
        self._receptions = receptions
        self._reasons = reasons
        self._max_outbox = max_outbox
        self._keyring = keyring
        self._metrics = metrics
        self._confirm_later = confirm_later
        self._store_pause = Backoff(0.5, 30)

    def stop(self) -> None:
        """Ends after the running telegram."""
        super().stop()
        self._backlog.close()

    def step(self) -> None:
        """One telegram."""
        if self._store.count("telemetry") >= self._max_outbox:
            self.wait(0.5)
            return
        ingest_id = self._backlog.take(2.0, self.view)
        if ingest_id is None:
            return
        try:
            self._settle(ingest_id)
        finally:
            self._backlog.release(ingest_id)

    # -------------------------------------------------- one telegram
    def _settle(self, ingest_id: str) -> None:
        found = telegrams.load(self.view, ingest_id, self._keyring.vault)
        if found is None or found[0].status not in (Status.RECEIVED, Status.DEFERRED):
            return
        telegram, attempts = found
        sender: Sender | None = None
        try:
            with self._metrics.parse_duration.time():
                sender = guarded(telegram, lambda: identify(telegram.raw))
                parsed, reading = guarded(telegram, lambda: self._parser.parse(self.view, telegram, sender))
                message = guarded(telegram, lambda: self._messages.reading(telegram, reading, parsed))
        except GatewayExcluded as error:
            self._excluded(telegram, error, attempts, sender)
        except FormatPending as error:
            if isinstance(error.answer, ParsedTelegram) and self._waited_in_vain(telegram, error, attempts):
                message = self._messages.reading(telegram, None, error.answer)
                self._parsed(telegram, error.answer, None, message, attempts)
            else:
                self._failed(telegram, error, attempts, sender)
        except MbusgwError as error:
            self._failed(telegram, error, attempts, sender)
        else:
            self._parsed(telegram, parsed, reading, message, attempts)

    def _parsed(
        self,
        telegram: ReceivedTelegram,
        parsed: ParsedTelegram,
        reading: Reading | None,
        message: Message,
        attempts: int,
    ) -> None:
        meter, now = reading.header.meter if reading else None, self.clock.now()
        to_confirm = parsed.to_confirm and self._confirm_later
        writes: list[Write] = [
            telegrams.keep_result(telegram.ingest_id, message.payload),
            telegrams.settle(
                telegram.ingest_id,
                Status.PARSED,
                meter_id=meter.id if meter else parsed.meter_id,
                manufacturer=meter.manufacturer if meter else None,
                keep_key=to_confirm,
            ),
            outbox.enqueue([*self._raw(telegram, attempts), message], now),
        ]
        if parsed.differences:
            writes.append(differences.keep(telegram, meter.id if meter else None, parsed.differences, now))
        if to_confirm:
            writes.append(confirmations.queue(telegram.ingest_id, now))
        if reading is not None and meter is not None:
            committed = self._commit(lambda: self._delivery.deliver(reading, *writes))
        else:
            committed = self._commit(lambda: self._store.submit(*writes))
        if committed is not None:
            self._metrics.telegram(telegram.gateway_id, "parsed")
            if parsed.differences:
                self._metrics.parsers_differ(telegram.gateway_id)

    def _failed(
        self, telegram: ReceivedTelegram, error: MbusgwError, attempts: int, sender: Sender | None
    ) -> None:
        retry_at = None
        if isinstance(error, (KeyMissing, KeyWrong)) and telegrams.was_read(self.view, telegram.ingest_id):
            status = Status.PARSED  # run again without the key it came with, or with a newer one: its reading stands
        elif isinstance(error, KeyMissing):
            status = Status.KEY_MISSING
        elif error.retryable and not self._waited_in_vain(telegram, error, attempts):
            status = Status.DEFERRED
            retry_at = self.clock.now() + timedelta(seconds=self._pause_s(error, attempts))
        else:
            status = Status.FAILED
        writes: list[Write] = [
            _settled(
                telegram, status, error, sender, retry_at=retry_at, waits_for=_waits_for(error) if retry_at else None
            )
        ]
        if isinstance(error, (KeyMissing, KeyWrong)):
            tried = {error.fingerprint if isinstance(error, KeyWrong) else None}
            if telegram.key is not None:
                tried.add(None)
            writes.append(self._keyring.unchanged(names(telegram, sender), tried))
        messages = self._raw(telegram, attempts)
        news = telegram.status == Status.RECEIVED or status != Status.DEFERRED
        if news:  # said when it begins and when it ends, not at every try between
            messages.append(self._messages.error(telegram, error, status=status, retry_at=retry_at))
        writes.append(outbox.enqueue(messages, self.clock.now()))
        if self._commit(lambda: self._store.submit(*writes)) is not None:
            self._metrics.telegram(telegram.gateway_id, status)
            self._reasons.tell(telegram, sender, status, error)

    def _excluded(
        self, telegram: ReceivedTelegram, error: GatewayExcluded, attempts: int, sender: Sender | None
    ) -> None:
        """It ends here; if a gateway that counts has heard it too, that one's is parsed."""
        message = self._messages.error(telegram, error, status=Status.FAILED, retry_at=None)
        done = self._commit(
            lambda: self._store.submit(
                arrivals.hand_over(telegram.ingest_id, error.gateways),
                _settled(telegram, Status.FAILED, error, sender),
                outbox.enqueue([*self._raw(telegram, attempts), message], self.clock.now()),
            )
        )
        if done is None:
            return
        self._metrics.telegram(telegram.gateway_id, "excluded")
        log.debug("telegram %s of gateway %s: %s", telegram.ingest_id, telegram.gateway_id, error)
        if done[0] is not None:
            self._receptions.again(telegram, done[0])
            self._backlog.ring([done[0]])

    def _waited_in_vain(self, telegram: ReceivedTelegram, error: MbusgwError, attempts: int) -> bool:
        """A meter sends full frames every few minutes; a format that is not heard within a day will not come."""
        waited = self.clock.now() - telegram.created_at > FORMAT_WAIT and attempts >= FORMAT_TRIES
        return isinstance(error, FormatPending) and waited

    def _pause_s(self, error: MbusgwError, attempts: int) -> float:
        known_s = error.retry_after_s if isinstance(error, ParserError) else None
        is_called = isinstance(error, FormatPending) or isinstance(error, ParserError) and not error.asked
        first_s, last_s = CALLED_DEFER_S if is_called else DEFER_S
        return known_s if known_s is not None else min(first_s * 2.0 ** min(attempts, 20), last_s)

    def _raw(self, telegram: ReceivedTelegram, attempts: int) -> list[Message]:
        """The raw message goes out once, with the first outcome, also when the telegram is parsed again later."""
        return [] if attempts else [self._messages.raw(telegram)]

    def _commit(self, submit: Callable[[], Future[list[Any]]]) -> list[Any] | None:
        """Waits for the outcome to be on disk, and gives what each write gave. If it cannot be (None), the telegram
        stays as it was and is parsed again."""
        try:
            done = submit().result(COMMIT_TIMEOUT_S)
        except (StoreError, FutureTimeout) as error:
            refused = isinstance(error, StoreError) and not error.retryable
            log.log(
                logging.ERROR if refused else logging.DEBUG,
                "the outcome of a telegram could not be stored, it waits: %s", str(error) or "no answer in time",
            )
            self.wait(self._store_pause.next_s())
            return None
        self._store_pause.reset()
        return done


def _settled(
    telegram: ReceivedTelegram, status: str, error: MbusgwError, sender: Sender | None, **wait: Any
) -> Write:
    """The outcome of a try without a reading. Who cannot be identified is who the request said."""
    return telegrams.settle(
        telegram.ingest_id,
        status,
        meter_id=sender.meter_id if sender else telegram.hint_meter_id,
        manufacturer=sender.manufacturer if sender else telegram.hint_manufacturer,
        reason=_reason(error),
        **wait,
    )


def _reason(error: MbusgwError) -> str:
    """The kind of an error and what it says; a wrong key is named by its fingerprint."""
    which = f" (key {error.fingerprint})" if isinstance(error, KeyWrong) and error.fingerprint else ""
    return f"{type(error).__name__}: {error}{which}"


def _waits_for(error: MbusgwError) -> str | None:
    """What would let the telegram be read at once, for ``telegrams.arrived``."""
    return format_name(error.signature) if isinstance(error, FormatPending) else None


def format_name(signature: int) -> str:
    """How a format is called in ``telegrams.waits_for``."""
    return f"format:{signature:04X}"
