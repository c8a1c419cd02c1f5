"""Meters with a protocol of their manufacturer's own (Techem, Qundis, Diehl PRIOS, Apator), read by wmbusmeters.

What our decoder can read it reads. Only where it finds nothing but a manufacturer's own data the program is
asked, which the operator installs (``parser.wmbusmeters``). It is supervised: restarted with growing pauses,
given so much time for an answer, never asked about two manufacturers' meters of one number in one process,
and not believed when it repeats an earlier telegram's values.
"""
from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from mbusgw.model.errors import DecodeError, WmbusmetersError
from mbusgw.model.telegram import DecodedTelegram, ReceivedTelegram
from mbusgw.parsers.base import ParsedTelegram, ParserBackend
from mbusgw.parsers.settings import WmbusmetersSettings
from mbusgw.parsers.wmbusmeters_answer import records, understood, values
from mbusgw.parsers.wmbusmeters_child import Child, installed_version
from mbusgw.runtime.backoff import Backoff
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.condition import Condition
from mbusgw.wmbus.frame import LinkFrame, parse_frame
from mbusgw.wmbus.telegram import peek_header

log = logging.getLogger(__name__)

#: So many processes, for meters of several manufacturers that share a number.
MOST_CHILDREN = 3
#: How long a telegram waits for a program in trouble.
PATIENCE = timedelta(hours=1)
#: So many telegrams that ended a process, and last answers of meters, are remembered.
_REMEMBERED = 5_000
#: A telegram that ended the process twice is not tried again.
_DEADLY = 2


@dataclass(frozen=True, slots=True)
class _Last:
    """What was last said of a meter, for which telegram. **immutable**"""

    telegram: bytes
    values: dict[str, object]
    understood: int | None


class Wmbusmeters:
    """Asks the program. **any thread**: one telegram at a time

    ``stopping`` says whether nobody needs an answer any more. ``on_result`` is told how each question
    ended: ``ok``, ``refused`` (it cannot read this telegram), ``stale``, ``failed`` (the process crashed or
    hung), ``absent`` (not asked: missing, too old, or in a pause).
    """

    def __init__(
        self,
        settings: WmbusmetersSettings,
        clock: Clock,
        *,
        stopping: Callable[[], bool] = lambda: False,
        on_result: Callable[[str], None] = lambda result: None,
    ) -> None:
        self._settings = settings
        self._stopping = stopping
        self._clock = clock
        self._on_result = on_result
        self._lock = threading.Lock()
        self._children: list[Child] = []
        self._checked = False
        self._closed = False
        self._backoff = Backoff(settings.first_pause_s, settings.max_pause_s)
        self._pause_until_mono = float("-inf")
        self._away = Condition(log, "wmbusmeters", clock)
        self._away_since_mono: float | None = None
        self._deadly: OrderedDict[bytes, int] = OrderedDict()
        self._last: OrderedDict[tuple[str, str], _Last] = OrderedDict()

    def decode(self, frame: LinkFrame, key: bytes | None) -> dict[str, object]:
        """What it says of a telegram. Raises ``WmbusmetersError``: retryable where the program is the trouble."""
        meters = _meters(frame)
        telegram = frame.stripped
        with self._lock:
            if self._deadly.get(telegram, 0) >= _DEADLY:
                self._on_result("refused")
                raise WmbusmetersError("wmbusmeters does not survive this telegram", retryable=False)
            answer = self._ask(telegram, meters, key)
            return self._judged(answer, telegram, meters)

    @property
    def away(self) -> timedelta:
        """For how long it has been in trouble."""
        since_mono = self._away_since_mono
        return timedelta(seconds=self._clock.mono() - since_mono if since_mono is not None else 0)

    def close(self) -> None:
        """Ends the program; questions under way fail."""
        self._closed = True
        for child in list(self._children):
            child.kill()
        with self._lock:
            for child in self._children:
                child.close()
            self._children.clear()

    # ------------------------------------------------------------------ asking
    def _ask(self, telegram: bytes, meters: dict[str, str], key: bytes | None) -> dict[str, object]:
        if self._closed or self._clock.mono() < self._pause_until_mono:
            self._on_result("absent")
            raise WmbusmetersError("wmbusmeters is not running; it is started again in a moment")
        child: Child | None = None
        try:
            child = self._child_for(meters)
            child.meters |= meters
            answer = child.ask(telegram, key, self._settings.timeout_s)
        except WmbusmetersError as error:
            self._on_result("absent" if child is None else "failed")
            self._failed(error, child, telegram)
            raise
        self._backoff.reset()
        self._away_since_mono = None
        self._away.cleared("works again")
        return answer

    def _child_for(self, meters: dict[str, str]) -> Child:
        if not self._checked:
            installed_version(self._settings.command)
            self._checked = True
        for child in self._children:
            if child.takes(meters):
                return child
        if len(self._children) >= MOST_CHILDREN:
            self._children.pop(0).close()
        self._children.append(Child(self._settings.command, self._clock, self._stopping))
        return self._children[-1]

    def _failed(self, error: WmbusmetersError, child: Child | None, telegram: bytes) -> None:
        mono = self._clock.mono()
        self._pause_until_mono = mono + self._backoff.next_s()
        if self._away_since_mono is None:
            self._away_since_mono = mono
        if child is None:
            self._checked = False  # it may be installed, or replaced, meanwhile
        else:
            self._children.remove(child)
            child.close()
            if self._stopping():
                return  # that was us
            self._deadly[telegram] = self._deadly.get(telegram, 0) + 1
            _limit(self._deadly)
        if not self._closed:
            self._away.failed(error)

    # ------------------------------------------------------------------ believing
    def _judged(self, answer: dict[str, object], telegram: bytes, meters: dict[str, str]) -> dict[str, object]:
        if "error" in answer:
            self._on_result("refused")
            raise WmbusmetersError(f"wmbusmeters: {str(answer['error'])[:200]}", retryable=False)
        number = str(answer.get("id") or "").upper()
        if number not in meters:
            self._on_result("refused")
            raise WmbusmetersError("wmbusmeters answers for another meter", retryable=False)
        meter = (meters[number], number)
        said = _Last(telegram, values(answer), understood(answer))
        if _is_stale(said, self._last.get(meter)):
            self._on_result("stale")
            raise WmbusmetersError("wmbusmeters understood nothing new and repeats earlier values", retryable=False)
        self._last[meter] = said
        _limit(self._last)
        self._on_result("ok")
        return answer


class WithWmbusmeters:
    """Our decoder, and wmbusmeters for what it leaves raw. **any thread**

    A telegram stays as our decoder has it, with a note, where the program is missing or cannot read it either.
    While the program is in trouble, the telegram waits to be tried again, for an hour at most.
    """

    name = "local"

    def __init__(self, local: ParserBackend, program: Wmbusmeters, clock: Clock) -> None:
        self._local = local
        self._program = program
        self._clock = clock

    def parse(self, telegram: ReceivedTelegram, key: bytes | None) -> ParsedTelegram:
        """Raises what the local decoder raises, and ``WmbusmetersError`` to be tried again."""
        parsed = self._local.parse(telegram, key)
        decoded = parsed.decoded
        if decoded is None or decoded.records or decoded.structure != "manufacturer":
            return parsed
        try:
            answer = self._program.decode(parse_frame(telegram.raw), key)
        except WmbusmetersError as error:
            waited = self._clock.now() - telegram.created_at
            if error.retryable and min(waited, self._program.away) < PATIENCE:  # a clock that jumps ends no wait
                raise
            return replace(parsed, decoded=replace(decoded, problems=(*decoded.problems, str(error))))
        return ParsedTelegram(_read(decoded, answer), None, "wmbusmeters")

    def close(self) -> None:
        """Ends both."""
        self._local.close()
        self._program.close()


def _read(decoded: DecodedTelegram, answer: dict[str, object]) -> DecodedTelegram:
    notes = [f"read by wmbusmeters as {answer.get('meter')}"]
    if answer.get("warning"):
        notes.append(f"wmbusmeters: {answer['warning']}")
    return replace(decoded, records=records(answer), problems=tuple(notes))


def _meters(frame: LinkFrame) -> dict[str, str]:
    """All meters that a telegram names: number -> manufacturer."""
    found = {frame.id: frame.manufacturer}
    try:
        inner = peek_header(frame).identity
    except DecodeError:
        return found
    return found | {inner.id: inner.manufacturer or frame.manufacturer}


def _is_stale(said: _Last, before: _Last | None) -> bool:
    """Whether an answer holds values of an earlier telegram: nothing was understood of this one, or less than before.

    A telegram that is repeated may have the same answer, and a meter that does not move sends the same values.
    """
    if said.understood == 0:
        return True
    if before is None or said.values != before.values or said.telegram == before.telegram:
        return False
    return said.understood is not None and (before.understood is None or said.understood < before.understood)


def _limit(remembered: OrderedDict[Any, Any]) -> None:
    while len(remembered) > _REMEMBERED:
        remembered.popitem(last=False)
