"""A webhook: one reading as a JSON object in each request."""
from __future__ import annotations

from collections.abc import Sequence

from mbusgw.config.outputs import WebhookConfig
from mbusgw.model.document import meter_document
from mbusgw.model.status import status_flags
from mbusgw.runtime import exactjson
from mbusgw.runtime.http import Request
from mbusgw.store.readings import KeptReading

SCHEMA = "mbusgw.reading.v1"


class Webhook:
    """``{"schema", "gateway", "reading", "device", "read_at", "lane", "meter", "values", …}``. **immutable**

    ``gateway`` and ``reading`` together name the reading: who gets them a second time had it already.
    """

    batch = 1

    def __init__(self, config: WebhookConfig, gateway_id: str) -> None:
        self._config = config
        self._gateway_id = gateway_id

    def request(self, readings: Sequence[KeptReading]) -> Request | None:
        """The first of ``readings``, which are no more."""
        config = self._config
        return Request(
            config.url,
            exactjson.dumps(self.document(readings[0])).encode(),
            headers={name: value.get_secret_value() for name, value in config.headers.items()},
            authorization=f"Bearer {config.token.get_secret_value()}" if config.token else None,
        )

    def document(self, reading: KeptReading) -> dict[str, object]:
        """What is posted; numbers are exact, times end in Z unless they are a meter's own."""
        return {
            "schema": SCHEMA,
            "gateway": self._gateway_id,
            "reading": reading.id,
            "device": reading.device_id,
            "read_at": reading.read_at,
            "lane": "wireless" if reading.ingest_id else "wired",
            "meter": meter_document(reading.meter),
            "status": reading.status,
            "status_flags": status_flags(reading.status),
            "ingest_id": reading.ingest_id,
            "gateway_id": reading.gateway_id,
            "rssi_dbm": reading.rssi_dbm,
            "values": {name: {"value": value, "unit": unit} for name, (value, unit) in reading.values.items()},
            "quarantined": reading.quarantined,
        }
