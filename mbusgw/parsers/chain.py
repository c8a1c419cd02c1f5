"""Which back ends there are, and those that join two: first Lobaro then ours, or both to compare.

A new back end is one file and one row in ``BACKENDS``.
"""
from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mbusgw.model.errors import (
    DecodeError,
    FormatPending,
    KeyMissing,
    MbusgwError,
    ModeUnsupported,
    ParserError,
)
from mbusgw.model.record import Record
from mbusgw.model.telegram import DecodedTelegram, ReceivedTelegram
from mbusgw.parsers.base import ParsedTelegram, ParserBackend
from mbusgw.parsers.formats import FormatMemory, format_of
from mbusgw.parsers.local import LocalBackend
from mbusgw.parsers.mapping import MappingFile, MappingSource
from mbusgw.parsers.settings import BackendSettings
from mbusgw.parsers.wmbusmeters import WithWmbusmeters, Wmbusmeters
from mbusgw.runtime.breaker import CircuitBreaker
from mbusgw.runtime.clock import Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the house gives to its back ends. **immutable**

    ``wait(seconds)`` waits and says whether to stop; ``on_result`` is told how each request to Lobaro ended.
    ``formats`` are those of compact frames; ``on_wmbusmeters`` is told how each question to that program ended.
    ``mapping`` is Lobaro's, where no file is configured.
    """

    wait: Callable[[float], bool]
    clock: Clock
    formats: FormatMemory = field(default_factory=FormatMemory)
    breaker: CircuitBreaker | None = None
    on_result: Callable[[str], None] | None = None
    on_wmbusmeters: Callable[[str], None] = lambda result: None
    mapping: MappingSource | None = None


def build_backend(settings: BackendSettings, parts: Parts) -> ParserBackend:
    """The back end of the configuration.

    Raises ``ConfigError`` for a mapping file that cannot be used, ``ValueError`` for an unknown name.
    """
    if settings.backend not in BACKENDS:
        raise ValueError(f"no parser back end {settings.backend!r}; there are {', '.join(BACKENDS)}")
    return BACKENDS[settings.backend](settings, parts)


class _Pair:
    """Two back ends: Lobaro and ours. **any thread**

    ``formats``: those of our own; it learns them of what Lobaro reads, too.
    """

    def __init__(self, lobaro: ParserBackend, local: ParserBackend, formats: FormatMemory | None = None) -> None:
        self._lobaro = lobaro
        self._local = local
        self._formats = formats

    @property
    def service(self) -> ParserBackend:
        """Lobaro alone."""
        return self._lobaro

    @property
    def own(self) -> ParserBackend:
        """Our decoder alone."""
        return self._local

    def close(self) -> None:
        """Closes both."""
        self._lobaro.close()
        self._local.close()

    def _ask_lobaro(self, telegram: ReceivedTelegram, key: bytes | None) -> _Outcome:
        answer = _attempt(self._lobaro, telegram, key)
        decoded = _decoded(answer)
        if self._formats is not None and decoded is not None and (format_bytes := format_of(decoded)):
            self._formats.learn(format_bytes)
        return answer


class WithRecords(_Pair):
    """Lobaro alone; where it reads a telegram and names no records (the domain model has none), they are ours: without
    them there is no device and no history. **any thread**"""

    name = "lobaro"

    def parse(self, telegram: ReceivedTelegram, key: bytes | None) -> ParsedTelegram:
        """Raises what Lobaro raises, and ``FormatPending`` for a compact frame without records of which we know
        no format yet."""
        answer = self._ask_lobaro(telegram, key)
        if isinstance(answer, MbusgwError):
            raise answer
        return answer if _has_records(answer) else _with_records_of(answer, _attempt(self._local, telegram, key))


class LobaroThenLocal(_Pair):
    """Lobaro where it answers, our decoder where it does not: an outage of a weekend costs no reading. **any thread**

    Our decoder also supplies the records where Lobaro's answer names none. An error is raised
    only when both fail: Lobaro's, to be tried again, where our decoder lacks the key or the mode, or finds a
    manufacturer's own data only (the service may know each); else ours, which says what is wrong with the telegram.
    """

    name = "lobaro_then_local"

    def parse(self, telegram: ReceivedTelegram, key: bytes | None) -> ParsedTelegram:
        """Raises what both raise, as said above."""
        answer = self._ask_lobaro(telegram, key)
        if _has_records(answer) and isinstance(answer, ParsedTelegram):
            return answer
        own = _attempt(self._local, telegram, key)
        if isinstance(answer, ParsedTelegram):
            return _with_records_of(answer, own)
        if isinstance(own, ParsedTelegram):
            if answer.retryable and _is_raw(own):
                raise answer
            return replace(own, to_confirm=answer.retryable)
        raise _worse(answer, own)


class Compare(_Pair):
    """Asks both and tells how they differ, in the answer and in the log. **any thread**

    The records are ours, because they are exact and proven by CRC and MAC; Lobaro's answer stays beside
    them as the domain model. Where only one of the two finds records, its reading counts.
    """

    name = "compare"

    def parse(self, telegram: ReceivedTelegram, key: bytes | None) -> ParsedTelegram:
        """Raises our decoder's error where both fail, or Lobaro's as in ``LobaroThenLocal``."""
        answer = self._ask_lobaro(telegram, key)
        own = _attempt(self._local, telegram, key)
        found = tuple(_compared(answer, own))
        if found:
            log.warning("telegram %s: Lobaro and our decoder differ: %s", telegram.ingest_id, "; ".join(found))
        if isinstance(answer, ParsedTelegram):
            use_own = _has_records(own) or not _has_records(answer)
            return replace(_with_records_of(answer, own) if use_own else answer, differences=found)
        if isinstance(own, ParsedTelegram):
            return replace(own, differences=found)
        raise _worse(answer, own)


def differences(theirs: DecodedTelegram | None, ours: DecodedTelegram | None) -> list[str]:
    """In which values two readings of one telegram differ, a sentence each; nothing where one names no records."""
    if theirs is None:
        return []
    if ours is None:
        return ["only Lobaro can read it"]
    found = []
    if theirs.header.meter != ours.header.meter:
        found.append(f"meter: {theirs.header.meter} and ours {ours.header.meter}")
    left, right = (Counter(map(_comparable, telegram.records)) for telegram in (theirs, ours))
    found += [f"only Lobaro has {text}" for text in (left - right).elements()]
    found += [f"only we have {text}" for text in (right - left).elements()]
    return found


_Failure = DecodeError | ParserError
_Outcome = ParsedTelegram | _Failure


def _attempt(backend: ParserBackend, telegram: ReceivedTelegram, key: bytes | None) -> _Outcome:
    try:
        return backend.parse(telegram, key)
    except (DecodeError, ParserError) as error:
        return error


def _worse(answer: _Failure, own: _Failure) -> _Failure:
    """Which of two errors counts: Lobaro's, to be tried again, where the service may know what ours lacks."""
    return answer if answer.retryable and isinstance(own, (KeyMissing, ModeUnsupported)) else own


def _compared(answer: _Outcome, own: _Outcome) -> list[str]:
    if isinstance(answer, MbusgwError):
        if answer.retryable or isinstance(own, MbusgwError):
            return []  # it was not asked, or could not answer, or neither can read it: nothing to compare
        return [f"only we can read it ({answer})"]
    if isinstance(own, FormatPending) and not _has_records(answer):
        return []  # neither can read it yet
    return differences(answer.decoded, _decoded(own))


def _is_raw(own: ParsedTelegram) -> bool:
    """Whether our decoder could only keep a manufacturer's own data."""
    return own.decoded is not None and not own.decoded.records and own.decoded.structure == "manufacturer"


def _decoded(outcome: _Outcome) -> DecodedTelegram | None:
    return outcome.decoded if isinstance(outcome, ParsedTelegram) else None


def _has_records(outcome: _Outcome) -> bool:
    decoded = _decoded(outcome)
    return decoded is not None and bool(decoded.records)


def _with_records_of(answer: ParsedTelegram, own: _Outcome) -> ParsedTelegram:
    """``answer`` with our records, where we have some, or with our header, where it has none; else as it is.

    Raises ``FormatPending``, with the answer, where we shall have them as soon as the format is known.
    """
    if isinstance(own, FormatPending):
        own.answer = answer
        raise own
    if isinstance(own, ParsedTelegram) and (answer.decoded is None or _has_records(own)):
        return ParsedTelegram(own.decoded, answer.domain_model, f"{answer.backend}+{own.backend}")
    return answer


def _comparable(record: Record) -> str:
    place = f"storage {record.storage} tariff {record.tariff} subunit {record.subunit}"
    return f"{record.quantity.slug} {record.function.value} {place} = {record.value} {record.unit}".rstrip()


# ------------------------------------------------------------------ the table
def _local(settings: BackendSettings, parts: Parts) -> ParserBackend:
    own = LocalBackend(parts.formats)
    if settings.wmbusmeters is None:
        return own
    program = Wmbusmeters(
        settings.wmbusmeters, parts.clock, stopping=lambda: parts.wait(0), on_result=parts.on_wmbusmeters
    )
    return WithWmbusmeters(own, program, parts.clock)


def _service(settings: BackendSettings, parts: Parts) -> ParserBackend:
    # Imported only where it is wanted: its HTTP library is a tenth of the memory of a gateway without it.
    from mbusgw.parsers.lobaro import LobaroBackend

    mapping = parts.mapping
    if settings.mapping_file is not None:
        file = MappingFile(settings.mapping_file)
        file.load()
        mapping = file
    return LobaroBackend(
        settings.lobaro,
        clock=parts.clock,
        wait=parts.wait,
        breaker=parts.breaker,
        mapping=mapping,
        on_result=parts.on_result,
    )


def _lobaro(settings: BackendSettings, parts: Parts) -> ParserBackend:
    return WithRecords(_service(settings, parts), _local(settings, parts), parts.formats)


def _lobaro_then_local(settings: BackendSettings, parts: Parts) -> ParserBackend:
    if not settings.lobaro.token:  # a newcomer needs no account
        return _local(settings, parts)
    return LobaroThenLocal(_service(settings, parts), _local(settings, parts), parts.formats)


def _compare(settings: BackendSettings, parts: Parts) -> ParserBackend:
    return Compare(_service(settings, parts), _local(settings, parts), parts.formats)


#: Name in the configuration (``parser.backend``) -> how it is built.
BACKENDS: dict[str, Callable[[BackendSettings, Parts], ParserBackend]] = {
    "lobaro": _lobaro,
    "local": _local,
    "lobaro_then_local": _lobaro_then_local,
    "compare": _compare,
}
