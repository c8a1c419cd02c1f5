"""What an answer to a request with readings means."""
from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mbusgw.runtime.clock import Clock
from mbusgw.runtime.http import Answer, Broken, retry_after_s

#: Something in the body cannot be taken: bad syntax, too large, not what is wanted.
_ABOUT_THE_READING = (400, 413, 422)
#: Try later: timeout, too early, too many requests.
_LATER = (408, 425, 429)


class Said(str, Enum):
    """What became of a request."""

    TAKEN = "taken"
    REFUSED = "refused"  # something in it will never be taken
    DENIED = "denied"  # nothing will be, until a person has changed something
    BUSY = "busy"  # later
    AWAY = "away"  # no answer, or the server is out of order


@dataclass(frozen=True, slots=True)
class Verdict:
    """``pause_s`` is what the server asks for. **immutable**"""

    said: Said
    reason: str = ""
    pause_s: float | None = None


def judge(answer: Answer | Broken, clock: Clock) -> Verdict:
    """Never raises. **any thread**"""
    if isinstance(answer, Broken):
        denied = answer in (Broken.TLS, Broken.REQUEST)
        return Verdict(Said.DENIED if denied else Said.AWAY, answer.value)
    if 200 <= answer.status < 300:
        return Verdict(Said.TAKEN)
    reason = f"HTTP {answer.status}{_excerpt(answer.body)}"
    if answer.status in _ABOUT_THE_READING:
        return Verdict(Said.REFUSED, reason)
    if answer.status in _LATER or answer.status >= 500:
        said = Said.BUSY if answer.status == 429 else Said.AWAY
        return Verdict(said, reason, retry_after_s(answer.retry_after, clock))
    return Verdict(Said.DENIED, reason)


def _excerpt(body: bytes) -> str:
    """The beginning of an answer's text."""
    text = " ".join(body[:2000].decode("utf-8", "replace").split())[:200]
    return f": {text}" if text else ""
