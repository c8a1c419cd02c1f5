"""The history of readings."""
from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from mbusgw.model.document import plain_value
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.reading import Reading
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import iso, parse_iso


@dataclass(frozen=True, slots=True)
class KeptReading:
    """A reading as the history has it. **immutable**

    ``values``: value and unit by field; dates and times are ISO text. ``gateway_id`` and ``rssi_dbm`` are those of a
    radio telegram, as long as that is kept. ``status`` is the byte of the meter's header. ``id`` grows from one reading
    to the next.
    """

    id: int
    device_id: str
    read_at: datetime
    meter: MeterIdentity | None
    values: Mapping[str, tuple[Decimal | int | str, str]]
    ingest_id: str | None = None
    gateway_id: str | None = None
    rssi_dbm: float | None = None
    status: int | None = None


def add(connection: sqlite3.Connection, reading: Reading) -> None:
    """Appends one reading: ``{field: [value, unit]}``, and ``[id, manufacturer, version, medium]`` of the meter.

    A radio telegram that is parsed again replaces what it said before: it is one reading of the meter.
    """
    fields = {
        name: [plain_value(field.value), field.unit]
        for name, field in reading.fields.items()
        if field.value is not None
    }
    meter = reading.header.meter
    if reading.ingest_id is not None:
        connection.execute(
            "DELETE FROM readings WHERE device_id = ? AND read_at = ? AND ingest_id = ?",
            (reading.device_id, iso(reading.read_at), reading.ingest_id),
        )
    connection.execute(
        "INSERT INTO readings (device_id, read_at, ingest_id, fields_json, meter_json, status)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            reading.device_id,
            iso(reading.read_at),
            reading.ingest_id,
            exactjson.dumps(fields),
            exactjson.dumps([meter.id, meter.manufacturer, meter.version, meter.medium]) if meter else None,
            reading.header.status,
        ),
    )


def after(connection: sqlite3.Connection, last_id: int, limit: int) -> list[KeptReading]:
    """The next readings in the order in which they were stored, at most ``limit``."""
    rows = connection.execute(
        "SELECT readings.id, device_id, read_at, meter_json, fields_json, ingest_id, gateway_id, rssi, readings.status"
        " FROM readings LEFT JOIN telegrams USING (ingest_id) WHERE readings.id > ? ORDER BY readings.id LIMIT ?",
        (last_id, limit),
    )
    return [
        KeptReading(
            row[0],
            row[1],
            parse_iso(row[2]),
            MeterIdentity(*exactjson.loads(row[3])) if row[3] else None,
            {name: (value, unit) for name, (value, unit) in exactjson.loads(row[4]).items()},
            *row[5:9],
        )
        for row in rows
    ]
