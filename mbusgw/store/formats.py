"""The formats of full frames on disk, for the compact frames of the next run."""
from __future__ import annotations

import sqlite3
from datetime import datetime

from mbusgw.model.ports import Write
from mbusgw.runtime.clock import iso


def keep(signature: int, format_bytes: bytes, now: datetime, *, most: int) -> Write:
    """Stores a format; of more than ``most`` the oldest go."""

    def write(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO formats (signature, format, seen_at) VALUES (?, ?, ?)",
            (signature, format_bytes, iso(now)),
        )
        connection.execute(
            "DELETE FROM formats WHERE rowid IN (SELECT rowid FROM formats ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
            (most,),
        )

    return write


def load(connection: sqlite3.Connection) -> list[bytes]:
    """All formats, the oldest first."""
    return [bytes(row[0]) for row in connection.execute("SELECT format FROM formats ORDER BY rowid")]
