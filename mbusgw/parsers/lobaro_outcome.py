"""What came of asking the Lobaro parser: the answer's object, or whose trouble it is."""
from __future__ import annotations

import re

from mbusgw.model.errors import (
    KeyMissing,
    KeyWrong,
    LobaroAuthError,
    LobaroBadRequestError,
    LobaroRateLimitError,
    LobaroTimeoutError,
    LobaroUnavailableError,
    MbusgwError,
)
from mbusgw.runtime import exactjson

#: The JSON object of an answer, or what went wrong.
Outcome = dict[str, object] | MbusgwError

_ABOUT_THE_KEY = re.compile(r"decrypt|\bkey\b", re.IGNORECASE)
#: All that is in an object that only says what is wrong.
_WORDS_OF_AN_ERROR = frozenset(
    ("code", "detail", "error", "errors", "message", "path", "status", "statuscode", "success", "timestamp", "title")
)


class Doubtful(LobaroUnavailableError):
    """Nothing that the parser says about a telegram that it has read, or refuses.

    It stumbles over this telegram, or it is out of order, or it was not the parser that answered (a proxy, a login
    page, maintenance). One such answer does not tell which.
    """


class NoTurn(LobaroRateLimitError):
    """Our own limits kept us from asking."""


def is_proper(outcome: Outcome) -> bool:
    """Whether the parser does its work: it has read a telegram, or says why that one cannot be read."""
    return not isinstance(outcome, MbusgwError) or not outcome.retryable


def settled(outcome: Outcome) -> Outcome:
    """``outcome`` as the rest of the house knows it. Any thread."""
    if not isinstance(outcome, NoTurn):
        return outcome
    return LobaroRateLimitError(str(outcome), retry_after_s=outcome.retry_after_s, hint=outcome.hint)


def result_of(outcome: Outcome) -> str:
    """How a try ended, in the words of ``on_result``."""
    if isinstance(outcome, LobaroAuthError):
        return "auth"
    if isinstance(outcome, LobaroRateLimitError):
        return "rate_limit"
    if isinstance(outcome, LobaroTimeoutError):
        return "timeout"
    if isinstance(outcome, Doubtful):
        return "doubtful"
    if isinstance(outcome, LobaroUnavailableError):
        return "unavailable"
    return "bad_request" if isinstance(outcome, MbusgwError) else "ok"


def json_object(body: bytes) -> Outcome:
    """The JSON object of a 200. The parser itself says ``null`` or nothing when it has stumbled."""
    if not body.strip():
        return Doubtful("an empty answer")
    try:
        document = exactjson.loads(body)
    except (ValueError, RecursionError):
        return Doubtful("an answer that is not JSON")
    if not isinstance(document, dict):
        return Doubtful(f"{'null' if document is None else f'a {type(document).__name__}'} instead of an object")
    if {word.casefold() for word in document} <= _WORDS_OF_AN_ERROR:
        return Doubtful("an object with nothing of a telegram in it")
    return document


def refused(status: int, text: str, key: bytes | None) -> MbusgwError:
    """A 4xx that speaks of this telegram; with the endpoint meterData a wrong key ends here."""
    if _ABOUT_THE_KEY.search(text):
        if key is None:
            return KeyMissing(f"Lobaro cannot decrypt this telegram without a key (HTTP {status})")
        return KeyWrong(f"Lobaro cannot decrypt this telegram with the key given (HTTP {status})")
    return LobaroBadRequestError(f"Lobaro refuses this telegram (HTTP {status}): {text}")
