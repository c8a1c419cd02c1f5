"""Every error mbusgw raises on purpose.

MbusgwError(retryable, hint)
├ ConfigError            .problems, all at once                       exit code 3
├ ConfigUnchanged        a change of the file that was not made {ConfigNotWritable}
├ BusError               TransportOpenFailed{AdapterChanged}, TransportLost, BusLocked
│ └ LinkError            NoAnswer, FrameDamaged, FrameUnexpected, Collision
├ DecodeError            FormatUnknown, FormatPending, ApplicationError, KeyMissing, KeyWrong, KeyLocked,
│                        ModeUnsupported
├ ParserError            LobaroAuthError, LobaroRateLimitError, LobaroBadRequestError,
│                        LobaroTimeoutError, LobaroUnavailableError, WmbusmetersError
├ GatewayExcluded        a telegram that counts only when other gateways have heard it
├ StoreError             StoreBusy, StoreFull, StoreDamaged, SchemaTooNew
├ OutputError            the broker or another output
├ AlertError             an alert could not be delivered
└ RequestError           .status: what an HTTP client did wrong, or must try again
Stopping(BaseException)  unwinds a worker that was told to stop

``retryable`` says whether the same call may work later; ``hint`` tells a person
what to do. Neither ever holds a secret.
"""
from __future__ import annotations

from dataclasses import dataclass


class MbusgwError(Exception):
    """Base of all our errors. ``str()`` is a sentence for a person."""

    retryable = False

    def __init__(self, message: str, *, hint: str = "", retryable: bool | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        if retryable is not None:
            self.retryable = retryable


# ------------------------------------------------------------------ configuration
@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a configuration: where it is, what it is, what was probably meant."""

    source: str
    line: int | None
    key: str
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        text = f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"
        return f"{text} ({self.suggestion})" if self.suggestion else text


class ConfigError(MbusgwError):
    """A configuration that cannot be used. ``problems`` lists everything wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class ConfigUnchanged(MbusgwError):
    """The configuration file was not changed: it is as it was before."""


class ConfigNotWritable(ConfigUnchanged):
    """... because this user may not; another one may."""


# ------------------------------------------------------------------ the bus
class BusError(MbusgwError):
    """Something between us and a meter."""

    retryable = True


class TransportOpenFailed(BusError):
    """The port cannot be opened."""


class AdapterChanged(TransportOpenFailed):
    """Another adapter carries the name of the port that was open before; who is behind it is not known."""


class TransportLost(BusError):
    """The port was open and went away (unplugged, connection closed)."""


class BusLocked(BusError):
    """Another process holds the port."""


class LinkError(BusError):
    """The port works, the exchange with the meter did not (EN 13757-2)."""


class NoAnswer(LinkError):
    """Nothing came within the answer window."""


class FrameDamaged(LinkError):
    """Bytes came that are no valid frame: checksum, length, stop byte, gap."""


class FrameUnexpected(LinkError):
    """A valid frame came, but not the one asked for (another address, another type)."""


class Collision(LinkError):
    """Several meters answered at once."""


# ------------------------------------------------------------------ decoding
class DecodeError(MbusgwError):
    """A frame or telegram that cannot be turned into records."""


class FormatUnknown(DecodeError):
    """Not a format of EN 13757 that we know, or a damaged one."""


class FormatPending(DecodeError):
    """A compact frame whose format was not heard yet. ``signature`` names the format.

    ``answer``: what a service said about it, without records, for who waits in vain; None where there is none.
    """

    retryable = True
    answer: object | None = None

    def __init__(self, signature: int) -> None:
        super().__init__(
            f"format unknown yet: a compact frame with the signature {signature:04X}",
            hint="it is read as soon as a full frame of that format was heard",
        )
        self.signature = signature


class ApplicationError(DecodeError):
    """The meter answered with an application error (EN 13757-3, CI 70). ``code`` is its number."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message, hint="the meter refused the request; an application reset may help")
        self.code = code


class KeyMissing(DecodeError):
    """Encrypted, and no key was given."""


class KeyWrong(DecodeError):
    """Encrypted, and the key given is not the meter's. ``fingerprint`` names that key, where it is known."""

    fingerprint: str | None = None


class KeyLocked(DecodeError):
    """The key is stored, but encrypted with a master key that is not here."""

    retryable = True


class ModeUnsupported(DecodeError):
    """A security mode or protocol that we name but cannot decode."""


class GatewayExcluded(MbusgwError):
    """The meter is restricted to ``gateways``, and this telegram was heard by another one."""

    def __init__(self, meter: str, gateways: frozenset[str]) -> None:
        super().__init__(
            f"{meter} is restricted to other gateways than this one", hint="devices[].gateways lists those that count"
        )
        self.gateways = gateways


# ------------------------------------------------------------------ parser back ends
class ParserError(MbusgwError):
    """A parser back end failed.

    ``retry_after_s``: when it will be asked again at the earliest, if that is known. ``asked``: False where it is known
    to be away and was not even asked; whoever waits is called when it is back.
    """

    retry_after_s: float | None = None
    asked = True


class LobaroAuthError(ParserError):
    """401 or 403: the token is missing, wrong or not allowed."""

    retryable = True


class LobaroRateLimitError(ParserError):
    """429: too many requests. ``retry_after_s`` is what the service asked for, or None."""

    retryable = True

    def __init__(self, message: str, *, retry_after_s: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class LobaroBadRequestError(ParserError):
    """The service refuses or cannot parse this telegram; trying it again changes nothing."""


class LobaroTimeoutError(ParserError):
    """No answer in time."""

    retryable = True


class LobaroUnavailableError(ParserError):
    """The service cannot be reached, or is broken (5xx)."""

    retryable = True


class WmbusmetersError(ParserError):
    """The program wmbusmeters is missing or in trouble, or, where not retryable, cannot read this telegram."""

    retryable = True


# ------------------------------------------------------------------ store, outputs, requests
class StoreError(MbusgwError):
    """The database."""


class StoreBusy(StoreError):
    """Too much is waiting to be written, or another process holds the database."""

    retryable = True


class StoreFull(StoreError):
    """No room on the disk."""

    retryable = True


class StoreDamaged(StoreError):
    """The database file is no database, or is broken."""


class SchemaTooNew(StoreError):
    """The database was written by a newer mbusgw."""


class OutputError(MbusgwError):
    """The broker or another output."""

    retryable = True


class AlertError(MbusgwError):
    """An alert could not be delivered."""

    retryable = True


class RequestError(MbusgwError):
    """An HTTP request that is answered with ``status`` and a JSON body.

    ``code`` is a word for programs, the message a sentence for people, ``field``
    the part of the body that is wrong, ``retry_after_s`` what to wait for 429 and 503.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        retry_after_s: int | None = None,
        allow: str | None = None,
    ) -> None:
        super().__init__(message, retryable=status in (429, 503))
        self.status = status
        self.code = code
        self.field = field
        self.retry_after_s = retry_after_s
        self.allow = allow


class Stopping(BaseException):
    """Unwinds a worker that was told to stop; not an error, so not an Exception."""
