"""The Lobaro wMbus parser as a back end: asks its web API, tries again, and tells apart what went wrong.

A telegram that the service cannot parse is that telegram's trouble (``LobaroBadRequestError``): that is what it says
with ``null``, nothing or no JSON. A refused token, a limit, a timeout and an outage are the service's and retryable.
"""
from __future__ import annotations

import logging
import re
from collections.abc import Callable

from mbusgw.model.errors import (
    ConfigError,
    LobaroAuthError,
    LobaroRateLimitError,
    LobaroTimeoutError,
    LobaroUnavailableError,
    MbusgwError,
    ParserError,
)
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.parsers.base import ParsedTelegram
from mbusgw.parsers.lobaro_answer import decode_answer, find_telegram, named_meter
from mbusgw.parsers.lobaro_blame import Blame
from mbusgw.parsers.lobaro_outcome import (
    NoTurn,
    Outcome,
    Senseless,
    ServerError,
    ServerSaysParse,
    json_object,
    refused,
    result_of,
    settled,
)
from mbusgw.parsers.mapping import MappingSource
from mbusgw.parsers.settings import LobaroSettings
from mbusgw.parsers.turns import Turns
from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.breaker import CircuitBreaker
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.condition import Condition
from mbusgw.runtime.http import Answer, Broken, Http, Request, retry_after_s

log = logging.getLogger(__name__)

#: How long nobody asks after the token was refused.
AUTH_PAUSE_S = 60.0

#: Words of an error text that speak of the telegram and not of the service.
_ABOUT_THE_TELEGRAM = re.compile(r"pars|telegram|decode|crc|frame|invalid|mapping|\bkey\b", re.IGNORECASE)
_LONG_HEX = re.compile(r"[0-9A-Fa-f]{16,}")


class LobaroBackend:
    """Asks the web API. **any thread**

    ``wait(seconds)`` waits and says whether to stop. ``on_result`` is told how each request ended: ``ok``,
    ``auth``, ``rate_limit``, ``bad_request``, ``timeout``, ``unavailable``, or why nobody asked: ``refused`` (breaker
    open), ``throttled`` (no turn within our own limits).
    """

    name = "lobaro"

    def __init__(
        self,
        settings: LobaroSettings,
        *,
        clock: Clock,
        wait: Callable[[float], bool],
        breaker: CircuitBreaker | None = None,
        mapping: MappingSource | None = None,
        on_result: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._wait = wait
        self._breaker = breaker
        self._mapping = mapping
        self._on_result = on_result or (lambda result: None)
        self._http = Http(clock)
        self._turns = Turns(clock, wait, per_second=settings.per_second, parallel=settings.parallel)
        self._blame = Blame(clock)
        self._away = Condition(log, "Lobaro API", clock)
        self._shut = Condition(log, "Lobaro API", clock, level=logging.ERROR)
        self._astray = Condition(log, "Lobaro API", clock, level=logging.ERROR)

    def parse(self, telegram: ReceivedTelegram, key: bytes | None) -> ParsedTelegram:
        """Asks the service. Raises the ``Lobaro…Error`` family, ``KeyMissing``, ``KeyWrong``, and what
        ``decode_answer`` raises."""
        if not self._settings.token:
            raise LobaroAuthError("no Lobaro token is configured", hint="set lobaro.token, or parser.backend: local")
        mapping = self._mapping_body()
        if self._breaker is not None and not self._breaker.allow():
            self._on_result("refused")
            away = LobaroUnavailableError(f"Lobaro is not asked for {self._breaker.retry_in_s():.0f} s more")
            away.asked = False
            raise away
        outcome = self._ask(telegram.raw, key, mapping)
        if isinstance(outcome, MbusgwError):
            raise outcome
        if self._settings.endpoint == "mbus" or find_telegram(outcome) is not None:
            return ParsedTelegram(decode_answer(outcome, key_given=key is not None), outcome, self.name)
        return ParsedTelegram(None, outcome, self.name, meter_id=named_meter(outcome))

    def close(self) -> None:
        """Closes all connections."""
        self._http.close()

    # ------------------------------------------------------------------ asking
    def _mapping_body(self) -> bytes | None:
        if self._mapping is None or self._settings.endpoint != "meterData":
            return None
        try:
            return self._mapping.body()
        except ConfigError as problem:
            raise LobaroUnavailableError(f"the mapping file cannot be used: {problem}") from None

    def _ask(self, raw: bytes, key: bytes | None, mapping: bytes | None) -> Outcome:
        """The answer, or the error that stays after all tries; the breaker knows of either."""
        pauses = Backoff(self._settings.first_pause_s, self._settings.max_pause_s)
        outcome: Outcome = LobaroUnavailableError("Lobaro was not asked")
        for attempt in range(1, self._settings.tries + 1):
            with self._turns.turn(self._settings.patience_s) as ours:
                outcome = self._once(raw, key, mapping) if ours else self._no_turn()
            if not isinstance(outcome, MbusgwError):
                break
            pause_s = self._pause_s(outcome, pauses)
            if pause_s is None or attempt == self._settings.tries or self._wait(pause_s):
                break
        if isinstance(outcome, NoTurn):
            return settled(outcome)
        judged = self._blame.judge(raw, outcome)
        self._say_astray(judged)
        outcome = settled(judged)
        self._say(outcome)
        self._tell_breaker(outcome)
        return outcome

    def _no_turn(self) -> MbusgwError:
        self._on_result("throttled")
        return NoTurn("Lobaro is not asked now: our own limits (lobaro.rate, lobaro.max_parallel) are used up")

    def _pause_s(self, failure: MbusgwError, pauses: Backoff) -> float | None:
        """How long to wait before the next try; None where there is none."""
        if isinstance(failure, ServerSaysParse):
            return pauses.next_s()
        if isinstance(failure, (LobaroAuthError, NoTurn)) or not failure.retryable:
            return None
        asked_s = failure.retry_after_s if isinstance(failure, LobaroRateLimitError) else None
        if asked_s is None:
            return pauses.next_s()
        return asked_s if asked_s <= self._settings.max_pause_s else None

    def _say(self, outcome: object) -> None:
        """A refused token is an alarm: nothing but a person ends it."""
        if isinstance(outcome, LobaroAuthError):
            self._shut.failed(outcome)
        elif isinstance(outcome, MbusgwError) and outcome.retryable:
            self._away.failed(outcome)
        else:
            self._away.cleared("answers again")
            self._shut.cleared("takes the token again")

    def _say_astray(self, outcome: object) -> None:
        """So is that nobody gets an answer that makes sense."""
        if isinstance(outcome, Senseless) and (astray := self._blame.astray) is not None:
            self._astray.failed(astray)
        elif not isinstance(outcome, MbusgwError):
            self._astray.cleared("makes sense again (`mbusgw telegrams replay --status failed` reads what failed)")

    def _tell_breaker(self, outcome: object) -> None:
        """Whoever asked last in vain is told when to ask again: it is the probe."""
        if self._breaker is None:
            return
        if isinstance(outcome, LobaroAuthError):
            self._breaker.open_for(AUTH_PAUSE_S)
        elif isinstance(outcome, LobaroRateLimitError) and outcome.retry_after_s:
            self._breaker.open_for(outcome.retry_after_s)
        elif isinstance(outcome, MbusgwError) and outcome.retryable:
            self._breaker.failure()
        else:
            self._breaker.success()
        if isinstance(outcome, ParserError) and outcome.retryable and (pause_s := self._breaker.retry_in_s()):
            outcome.retry_after_s = pause_s

    def _once(self, raw: bytes, key: bytes | None, mapping: bytes | None) -> Outcome:
        """One try."""
        query = {"raw": raw.hex()} | ({"key": key.hex().upper()} if key is not None else {})
        settings = self._settings
        request = Request(
            f"{settings.url}/api/{settings.endpoint}",
            mapping,
            query=query,
            authorization=f"Bearer {settings.token or ''}",
        )
        answer = self._http.post(
            request, timeout_s=settings.timeout_s, connect_timeout_s=settings.connect_timeout_s
        )
        outcome = self._broken(answer) if isinstance(answer, Broken) else self._judge(answer, key)
        self._on_result(result_of(outcome))
        return outcome

    def _broken(self, why: Broken) -> MbusgwError:
        if why is Broken.TIMEOUT:
            return LobaroTimeoutError(f"Lobaro did not answer within {self._settings.timeout_s:g} s")
        if why is Broken.TOO_LONG:
            return Senseless("Lobaro sent an answer without an end for this telegram")
        return LobaroUnavailableError(f"Lobaro: {why.value}")

    # ------------------------------------------------------------------ judging
    def _judge(self, answer: Answer, key: bytes | None) -> Outcome:
        """The answer's object, or what its status and body mean."""
        if answer.status == 200:
            return json_object(answer.body)
        if answer.status in (401, 403):
            return LobaroAuthError(
                f"Lobaro refuses the token (HTTP {answer.status})",
                hint="is the token valid, and its account allowed to use the parser?",
            )
        if answer.status in (425, 429):
            return LobaroRateLimitError(
                f"Lobaro: too many requests (HTTP {answer.status})",
                retry_after_s=retry_after_s(answer.retry_after, self._clock),
            )
        if answer.status == 408:
            return LobaroTimeoutError("Lobaro took too long (HTTP 408)")
        text = self._excerpt(answer.body)
        if answer.status == 404 and not self._blame.answered:
            return LobaroUnavailableError(
                f"Lobaro knows no {self._settings.endpoint} there (HTTP 404)", hint="is lobaro.url right?"
            )
        if 400 <= answer.status < 500 or answer.status == 500 and "decrypt" in text.casefold():
            return refused(answer.status, text, key)
        if answer.status == 500 and _ABOUT_THE_TELEGRAM.search(text):
            return ServerSaysParse(f"Lobaro cannot parse this telegram (HTTP 500): {text}")
        if answer.status == 500:
            return ServerError("Lobaro is out of order (HTTP 500)")
        return LobaroUnavailableError(f"Lobaro is out of order (HTTP {answer.status})")

    def _excerpt(self, body: bytes) -> str:
        """The beginning of an error text; token, and whatever could be a key or a telegram, are left out."""
        text = " ".join(body[:2000].decode("utf-8", "replace").split())
        text = text.replace(self._settings.token or "", "…") if self._settings.token else text
        return _LONG_HEX.sub("…", text)[:200] or "no text"
