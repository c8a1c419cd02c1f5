"""What came of asking the Lobaro parser: the answer's object, or whose trouble it is."""
from __future__ import annotations

import re
import threading
from collections import OrderedDict

from mbusgw.model.errors import (
    KeyMissing,
    KeyWrong,
    LobaroAuthError,
    LobaroBadRequestError,
    LobaroRateLimitError,
    LobaroTimeoutError,
    LobaroUnavailableError,
    MbusgwError,
    ParserError,
)
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import Clock

#: The JSON object of an answer, or what went wrong.
Outcome = dict[str, object] | MbusgwError

_ABOUT_THE_KEY = re.compile(r"decrypt|\bkey\b", re.IGNORECASE)


class ServerSaysParse(LobaroUnavailableError):
    """A 500 that speaks of the telegram: tried again like an outage, but in the end it is this telegram's."""


class ServerError(LobaroUnavailableError):
    """A 500 that says nothing: an outage, or a telegram that makes the service stumble."""


class NoTurn(LobaroRateLimitError):
    """Our own limits kept us from asking."""


class Suspects:
    """Telegrams for which the service only had a 500. **any thread**

    One outage answers so to all. Where others were answered since, and this one again is not, it is the
    telegram: it must not be tried for ever, and not hold others up.
    """

    def __init__(self, clock: Clock, *, limit: int = 1000) -> None:
        self._clock = clock
        self._limit = limit
        self._lock = threading.Lock()
        self._since_mono: OrderedDict[bytes, float] = OrderedDict()
        self._answered_mono = float("-inf")

    @property
    def answered(self) -> bool:
        """Whether the service ever answered."""
        return self._answered_mono > float("-inf")

    def judge(self, raw: bytes, outcome: Outcome) -> Outcome:
        """``outcome``, or that it is this telegram's trouble."""
        with self._lock:
            if not isinstance(outcome, MbusgwError):
                self._answered_mono = self._clock.mono()
                self._since_mono.pop(raw, None)
            elif isinstance(outcome, ServerError):
                since_mono = self._since_mono.setdefault(raw, self._clock.mono())
                if self._answered_mono > since_mono:
                    del self._since_mono[raw]
                    return LobaroBadRequestError("Lobaro fails on this telegram (HTTP 500) and answers others")
                while len(self._since_mono) > self._limit:
                    self._since_mono.popitem(last=False)
        return outcome


def settled(outcome: Outcome) -> Outcome:
    """``outcome`` as the rest of the house knows it. Any thread."""
    if isinstance(outcome, ServerSaysParse):
        return LobaroBadRequestError(str(outcome))
    if isinstance(outcome, (ServerError, NoTurn)):
        plain: ParserError = (LobaroUnavailableError if isinstance(outcome, ServerError) else LobaroRateLimitError)(
            str(outcome), hint=outcome.hint
        )
        plain.retry_after_s = outcome.retry_after_s
        return plain
    return outcome


def result_of(outcome: Outcome) -> str:
    """How a try ended, in the words of ``on_result``."""
    if isinstance(outcome, LobaroAuthError):
        return "auth"
    if isinstance(outcome, LobaroRateLimitError):
        return "rate_limit"
    if isinstance(outcome, LobaroTimeoutError):
        return "timeout"
    if isinstance(outcome, LobaroUnavailableError):
        return "unavailable"
    return "bad_request" if isinstance(outcome, MbusgwError) else "ok"


def json_object(body: bytes) -> Outcome:
    """The JSON object of a 200; anything else means that the parser failed on this telegram."""
    if not body.strip():
        return LobaroBadRequestError("Lobaro gave an empty answer for this telegram")
    try:
        document = exactjson.loads(body)
    except (ValueError, RecursionError):
        return LobaroBadRequestError("Lobaro's answer for this telegram is not JSON")
    if not isinstance(document, dict):
        said = "null" if document is None else f"a {type(document).__name__}"
        return LobaroBadRequestError(f"Lobaro's answer for this telegram is {said} and not an object")
    return document


def refused(status: int, text: str, key: bytes | None) -> MbusgwError:
    """A 4xx for this telegram; with the endpoint meterData a wrong key ends here."""
    if status != 404 and _ABOUT_THE_KEY.search(text):
        if key is None:
            return KeyMissing(f"Lobaro cannot decrypt this telegram without a key (HTTP {status})")
        return KeyWrong(f"Lobaro cannot decrypt this telegram with the key given (HTTP {status})")
    return LobaroBadRequestError(f"Lobaro refuses this telegram (HTTP {status}): {text}")
