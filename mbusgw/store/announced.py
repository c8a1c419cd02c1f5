"""What Home Assistant was last told (table ``discovery``), so that what is gone can be taken back."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime

from mbusgw.runtime.clock import iso


def rows(connection: sqlite3.Connection) -> Iterator[tuple[str, str, str]]:
    """(topic, device_id, payload) of every announcement in force, one at a time."""
    for row in connection.execute("SELECT topic, device_id, payload FROM discovery"):
        yield row[0], row[1], row[2]


def topics(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """(topic, device_id) of every announcement in force, the documents unread."""
    for row in connection.execute("SELECT topic, device_id FROM discovery ORDER BY topic"):
        yield row[0], row[1]


def remember(connection: sqlite3.Connection, topic: str, device_id: str, payload: str, now: datetime) -> None:
    """An announcement was made."""
    connection.execute(
        "INSERT OR REPLACE INTO discovery (topic, device_id, payload, updated_at) VALUES (?, ?, ?, ?)",
        (topic, device_id, payload, iso(now)),
    )


def forget(connection: sqlite3.Connection, topic: str) -> None:
    """An announcement was taken back."""
    connection.execute("DELETE FROM discovery WHERE topic = ?", (topic,))


def payload(connection: sqlite3.Connection, topic: str) -> str | None:
    """What was announced there last."""
    row = connection.execute("SELECT payload FROM discovery WHERE topic = ?", (topic,)).fetchone()
    return str(row[0]) if row else None


def waits(connection: sqlite3.Connection, topic: str) -> bool:
    """The last announcement has not reached the broker yet."""
    return row_id(connection, topic) is not None


def row_id(connection: sqlite3.Connection, topic: str) -> int | None:
    """The place in the outbox of the last announcement, as long as it is there."""
    row = connection.execute("SELECT id FROM mqtt_queue WHERE topic = ? AND retain = 1", (topic,)).fetchone()
    return int(row[0]) if row else None
