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
    ParserError,
)
from mbusgw.runtime import exactjson

#: The JSON object of an answer, or what went wrong.
Outcome = dict[str, object] | MbusgwError

_ABOUT_THE_KEY = re.compile(r"decrypt|\bkey\b", re.IGNORECASE)


class Senseless(LobaroBadRequestError):
    """Not an answer of the parser's that says anything: it has stumbled over this telegram."""


class ServerSaysParse(LobaroUnavailableError):
    """A 500 that speaks of the telegram: tried again like an outage, but in the end it is this telegram's."""


class ServerError(LobaroUnavailableError):
    """A 500 that says nothing: an outage, or a telegram that makes the service stumble."""


class NoTurn(LobaroRateLimitError):
    """Our own limits kept us from asking."""


_PLAIN: dict[type[ParserError], type[ParserError]] = {
    Senseless: LobaroBadRequestError,
    ServerSaysParse: LobaroBadRequestError,
    ServerError: LobaroUnavailableError,
    NoTurn: LobaroRateLimitError,
}


def settled(outcome: Outcome) -> Outcome:
    """``outcome`` as the rest of the house knows it. Any thread."""
    for kind, plain in _PLAIN.items():
        if isinstance(outcome, kind):
            error = plain(str(outcome), hint=outcome.hint)
            error.retry_after_s = outcome.retry_after_s
            return error
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
        return Senseless("Lobaro gave an empty answer for this telegram")
    try:
        document = exactjson.loads(body)
    except (ValueError, RecursionError):
        return Senseless("Lobaro's answer for this telegram is not JSON")
    if not isinstance(document, dict):
        said = "null" if document is None else f"a {type(document).__name__}"
        return Senseless(f"Lobaro's answer for this telegram is {said} and not an object")
    return document


def refused(status: int, text: str, key: bytes | None) -> MbusgwError:
    """A 4xx for this telegram; with the endpoint meterData a wrong key ends here."""
    if status != 404 and _ABOUT_THE_KEY.search(text):
        if key is None:
            return KeyMissing(f"Lobaro cannot decrypt this telegram without a key (HTTP {status})")
        return KeyWrong(f"Lobaro cannot decrypt this telegram with the key given (HTTP {status})")
    return LobaroBadRequestError(f"Lobaro refuses this telegram (HTTP {status}): {text}")
