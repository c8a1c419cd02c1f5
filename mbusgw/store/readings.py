"""The history of readings."""
from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from mbusgw.model.document import plain_value
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.reading import Reading
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import iso, parse_iso


@dataclass(frozen=True, slots=True)
class KeptReading:
    """A reading as the history has it. **immutable**

    ``values``: value and unit by field; dates and times are ISO text. ``gateway_id`` and ``rssi_dbm`` are those of a
    radio telegram, as long as that is kept. ``status`` is the byte of the meter's header. ``quarantined``: the fields
    whose values were not believed; None where nobody had judged them. ``id`` grows from one reading to the next.
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
    quarantined: tuple[str, ...] | None = None


def add(connection: sqlite3.Connection, reading: Reading) -> None:
    """Appends one reading: ``{field: [value, unit]}``, and ``[id, manufacturer, version, medium]`` of the meter.

    A radio telegram that is parsed again replaces what it said before: it is one reading of the meter. Is it not the
    newest any more, a value that was in quarantine then, and is the same now, is still told as such.
    """
    fields = {
        name: [plain_value(field.value), field.unit]
        for name, field in reading.fields.items()
        if field.value is not None
    }
    meter, quarantined = reading.header.meter, reading.quarantined
    if reading.ingest_id is not None:
        replaced = connection.execute(
            "DELETE FROM readings WHERE device_id = ? AND read_at = ? AND ingest_id = ?"
            " RETURNING fields_json, quarantined",
            (reading.device_id, iso(reading.read_at), reading.ingest_id),
        ).fetchall()
        if quarantined is None and replaced:
            quarantined = _still_quarantined(fields, *replaced[-1])
    connection.execute(
        "INSERT INTO readings (device_id, read_at, ingest_id, fields_json, meter_json, status, quarantined)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            reading.device_id,
            iso(reading.read_at),
            reading.ingest_id,
            exactjson.dumps(fields),
            exactjson.dumps([meter.id, meter.manufacturer, meter.version, meter.medium]) if meter else None,
            reading.header.status,
            None if quarantined is None else exactjson.dumps(sorted(quarantined)),
        ),
    )


def _still_quarantined(
    fields: Mapping[str, list[Any]], before_json: str, quarantined_json: str | None
) -> frozenset[str] | None:
    if quarantined_json is None:
        return None
    before = exactjson.loads(before_json)
    return frozenset(name for name in exactjson.loads(quarantined_json) if before.get(name) == fields.get(name))


def after(connection: sqlite3.Connection, last_id: int, limit: int) -> list[KeptReading]:
    """The next readings in the order in which they were stored, at most ``limit``."""
    rows = connection.execute(
        "SELECT readings.id, device_id, read_at, meter_json, fields_json, ingest_id, gateway_id, rssi, readings.status,"
        " quarantined FROM readings LEFT JOIN telegrams USING (ingest_id)"
        " WHERE readings.id > ? ORDER BY readings.id LIMIT ?",
        (last_id, limit),
    )
    return [
        KeptReading(
            row[0],
            row[1],
            parse_iso(row[2]),
            MeterIdentity(*exactjson.loads(row[3])) if row[3] else None,
            {name: (value, unit) for name, (value, unit) in exactjson.loads(row[4]).items()},
            ingest_id=row[5],
            gateway_id=row[6],
            rssi_dbm=row[7],
            status=row[8],
            quarantined=tuple(exactjson.loads(row[9])) if row[9] else None,
        )
        for row in rows
    ]
