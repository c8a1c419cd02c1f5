"""The meters' AES keys on disk. A key is never shown; its fingerprint names it."""
from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from mbusgw.model.ports import Write
from mbusgw.runtime.clock import iso


def fingerprint(key: bytes) -> str:
    """The name under which a key may be spoken of: upper-case SHA-256 of its 16 bytes."""
    return hashlib.sha256(key).hexdigest().upper()


@dataclass(frozen=True, slots=True)
class MeterKey:
    """The key of one meter. ``manufacturer`` None: whoever carries the number. **immutable**"""

    meter_id: str
    manufacturer: str | None
    key: bytes = field(repr=False)


def put(keys: Iterable[MeterKey], now: datetime) -> Write:
    """Stores keys, replacing earlier ones of the same meters."""
    rows = [(key.meter_id.upper(), (key.manufacturer or "").upper() or None, key.key.hex(), iso(now)) for key in keys]

    def write(connection: sqlite3.Connection) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO meter_keys (meter_id, manufacturer, key_hex, updated_at) VALUES (?, ?, ?, ?)", rows
        )

    return write


def find(connection: sqlite3.Connection, meter_id: str, manufacturer: str | None) -> bytes | None:
    """The key of a meter, unless it is stored for another manufacturer's meter of that number."""
    row = connection.execute(
        "SELECT manufacturer, key_hex FROM meter_keys WHERE meter_id = ?", (meter_id.upper(),)
    ).fetchone()
    if row is None or (row[0] and manufacturer and row[0] != manufacturer.upper()):
        return None
    return bytes.fromhex(row[1])
