"""Parser back ends that do as they are told."""
from __future__ import annotations

import threading
from collections.abc import Callable

from mbusgw.mbus.records import decode_records
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.telegram import DecodedTelegram, Header, ReceivedTelegram
from mbusgw.parsers.base import ParsedTelegram
from tests.fakes.telegrams import METER

#: Volume 28504.27 m³.
RECORDS = bytes.fromhex("0c1427048502")

Answer = Callable[[ReceivedTelegram, bytes | None], ParsedTelegram]


def parsed(meter: MeterIdentity | None = METER, *, domain_model: object | None = None) -> ParsedTelegram:
    """What a back end says that could read the telegram."""
    records = tuple(decode_records(RECORDS).records)
    return ParsedTelegram(DecodedTelegram(Header(0x7A, meter=meter, access_no=7), records), domain_model, "scripted")


class ScriptedBackend:
    """Answers as ``answer`` says, which a test may change at any time, and keeps count. **any thread**"""

    name = "scripted"

    def __init__(self, answer: Answer = lambda _telegram, _key: parsed()) -> None:
        self.answer = answer
        self.asked: list[tuple[str, bytes | None]] = []
        self._lock = threading.Lock()

    def parse(self, telegram: ReceivedTelegram, key: bytes | None) -> ParsedTelegram:
        with self._lock:
            self.asked.append((telegram.ingest_id, key))
        return self.answer(telegram, key)

    def close(self) -> None:
        """Nothing to let go of."""


def raising(error: Exception) -> Answer:
    """An answer that is an error."""

    def answer(_telegram: ReceivedTelegram, _key: bytes | None) -> ParsedTelegram:
        raise error

    return answer
