"""Messages that are to reach the broker: stored before they are sent, removed when it has acknowledged them."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mbusgw.model.ports import Write
from mbusgw.runtime.clock import iso


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message. ``ingest_id`` names the radio telegram it tells of. **immutable**"""

    topic: str
    payload: str
    retain: bool
    ingest_id: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message in the outbox. **immutable**"""

    id: int
    topic: str
    payload: str
    retain: bool


def put(connection: sqlite3.Connection, messages: Iterable[Message], now: datetime) -> None:
    """Appends ``messages`` in order. A retained one replaces what still waits on its topic: only the newest counts."""
    created_at = iso(now)
    for message in messages:
        if message.retain:
            connection.execute("DELETE FROM mqtt_queue WHERE topic = ? AND retain = 1", (message.topic,))
        connection.execute(
            "INSERT INTO mqtt_queue (topic, payload, retain, created_at, ingest_id) VALUES (?, ?, ?, ?, ?)",
            (message.topic, message.payload, message.retain, created_at, message.ingest_id),
        )


def enqueue(messages: Sequence[Message], now: datetime) -> Write:
    """``put`` as a unit of work."""
    return lambda connection: put(connection, messages, now)


def acknowledged(ids: Sequence[int], now: datetime) -> Write:
    """Removes what the broker has acknowledged; a telegram with nothing left to send becomes ``published``."""

    def write(connection: sqlite3.Connection) -> None:
        marks = ",".join("?" * len(ids))
        rows = connection.execute(f"DELETE FROM mqtt_queue WHERE id IN ({marks}) RETURNING ingest_id", ids).fetchall()
        for ingest_id in {row[0] for row in rows if row[0] is not None}:
            _published(connection, ingest_id, now)

    return write


def refused(ids: Sequence[int], reason: str) -> Write:
    """Removes what the broker will never take. A telegram whose outcome it was has failed, and says why;
    one that still waits (for the parser, for its key) goes on waiting."""

    def write(connection: sqlite3.Connection) -> None:
        for row_id in ids:
            row = connection.execute("DELETE FROM mqtt_queue WHERE id = ? RETURNING ingest_id", (row_id,)).fetchone()
            if row and row[0]:
                connection.execute(
                    "UPDATE telegrams SET status = 'failed', reason = ? WHERE ingest_id = ? AND status = 'parsed'",
                    (f"the broker refuses it: {reason}", row[0]),
                )

    return write


def _published(connection: sqlite3.Connection, ingest_id: str, now: datetime) -> None:
    if connection.execute("SELECT 1 FROM mqtt_queue WHERE ingest_id = ? LIMIT 1", (ingest_id,)).fetchone():
        return
    changed = connection.execute(
        "UPDATE telegrams SET status = 'published' WHERE ingest_id = ? AND status = 'parsed'", (ingest_id,)
    ).rowcount
    if changed:
        connection.execute("UPDATE parse_results SET published_at = ? WHERE ingest_id = ?", (iso(now), ingest_id))


def telemetry(connection: sqlite3.Connection) -> int:
    """How many messages wait that are not retained, and so can neither be replaced nor dropped."""
    return int(connection.execute("SELECT value FROM counters WHERE name = 'telemetry'").fetchone()[0])


def after(connection: sqlite3.Connection, last_id: int, limit: int) -> list[Waiting]:
    """The next messages in order, at most ``limit``."""
    rows = connection.execute(
        "SELECT id, topic, payload, retain FROM mqtt_queue WHERE id > ? ORDER BY id LIMIT ?", (last_id, limit)
    )
    return [Waiting(row[0], row[1], row[2], bool(row[3])) for row in rows]
