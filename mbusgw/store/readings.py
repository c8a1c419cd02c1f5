"""The history of readings."""
from __future__ import annotations

import sqlite3

from mbusgw.model.reading import Reading
from mbusgw.model.units import plain_text
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import iso


def add(connection: sqlite3.Connection, reading: Reading) -> None:
    """Appends one reading: ``{field: [value, unit]}``, values as the plain text of their topics.

    A radio telegram that is parsed again replaces what it said before: it is one reading of the meter.
    """
    fields = {
        name: [plain_text(field.value), field.unit] for name, field in reading.fields.items() if field.value is not None
    }
    if reading.ingest_id is not None:
        connection.execute(
            "DELETE FROM readings WHERE device_id = ? AND read_at = ? AND ingest_id = ?",
            (reading.device_id, iso(reading.read_at), reading.ingest_id),
        )
    connection.execute(
        "INSERT INTO readings (device_id, read_at, ingest_id, fields_json) VALUES (?, ?, ?, ?)",
        (reading.device_id, iso(reading.read_at), reading.ingest_id, exactjson.dumps(fields)),
    )
