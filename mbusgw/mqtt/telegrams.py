"""What is said of a radio telegram: as it came, as a reading, or why there is none."""
from __future__ import annotations

from datetime import datetime
from typing import Any

from mbusgw.model.document import fields_document, meter_document
from mbusgw.model.errors import KeyWrong, MbusgwError
from mbusgw.model.reading import Reading
from mbusgw.model.status import status_flags
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.mqtt.topics import Topics
from mbusgw.parsers.base import ParsedTelegram
from mbusgw.runtime import exactjson
from mbusgw.store.outbox import Message
from mbusgw.store.telegrams import Status

SCHEMA = "oms.bridge.v1"


class TelegramMessages:
    """Builds the ``oms/…`` messages. They are telemetry: never retained, never replaced. **any thread**"""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def raw(self, telegram: ReceivedTelegram, *, duplicate: bool = False) -> Message:
        """An accepted telegram as it came."""
        document = _envelope(telegram)
        document["mode"] = telegram.mode
        if duplicate:
            document["duplicate"] = True
        return self._message(self._topics.raw(telegram.gateway_id, telegram.ingest_id), telegram, document)

    def reading(self, telegram: ReceivedTelegram, reading: Reading | None, parsed: ParsedTelegram) -> Message:
        """The parsed reading, and a foreign parser's own answer, unchanged; ``parser``: whose records these are."""
        meter = reading.header.meter if reading else None
        meter_id = meter.id if meter else parsed.meter_id
        document = _envelope(telegram)
        document["lobaro"] = {"metering_domain_model": parsed.domain_model}
        document["reading"] = reading_document(reading) | {"parser": parsed.backend} if reading else None
        if parsed.differences:
            document["differences"] = list(parsed.differences)
        return self._message(self._topics.reading(telegram.gateway_id, meter_id), telegram, document)

    def confirmation(
        self, telegram: ReceivedTelegram, said: dict[str, object], answer: ParsedTelegram, found: list[str]
    ) -> Message:
        """The same reading (``said``) once more, with the service's answer, and whether that says the same."""
        document = said | {
            "lobaro": {"metering_domain_model": answer.domain_model},
            "confirmed": not found,
            "differences": found,
        }
        reading = said.get("reading")
        meter = reading.get("meter") if isinstance(reading, dict) else None
        meter_id = meter.get("id") if isinstance(meter, dict) else None
        return self._message(self._topics.reading(telegram.gateway_id, meter_id), telegram, document)

    def error(
        self, telegram: ReceivedTelegram, error: MbusgwError, *, status: str, retry_at: datetime | None
    ) -> Message:
        """What failed, why, and whether it will be tried again."""
        document = _envelope(telegram)
        document["status"] = status
        document["error"] = {"type": type(error).__name__, "message": str(error), "hint": error.hint or None}
        if isinstance(error, KeyWrong):
            document["error"]["key_fingerprint"] = error.fingerprint
        document["will_retry"] = retry_at is not None or status == Status.KEY_MISSING
        document["retry_at"] = retry_at
        return self._message(self._topics.errors(telegram.gateway_id, telegram.ingest_id), telegram, document)

    @staticmethod
    def _message(topic: str, telegram: ReceivedTelegram, document: dict[str, Any]) -> Message:
        return Message(topic, exactjson.dumps(document), retain=False, ingest_id=telegram.ingest_id)


def _envelope(telegram: ReceivedTelegram) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "ingest_id": telegram.ingest_id,
        "gateway_id": telegram.gateway_id,
        "rx_time": telegram.rx_time,
        "rssi_dbm": telegram.rssi_dbm,
        "raw_hex": telegram.raw.hex().upper(),
    }


def reading_document(reading: Reading) -> dict[str, Any]:
    """Our normalised form of a reading: who, when, and each value with its unit."""
    return {
        "device_id": reading.device_id,
        "meter": meter_document(reading.header.meter),
        "read_at": reading.read_at,
        "access_no": reading.header.access_no,
        "status": reading.header.status,
        "status_flags": status_flags(reading.header.status),
        "fields": fields_document(reading.fields),
        "manufacturer_data": reading.manufacturer_data,
        "problems": reading.problems,
    }
