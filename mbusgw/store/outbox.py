"""Messages that are to reach the broker: stored before they are sent, removed when it has acknowledged them."""
from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mbusgw.model.ports import Write
from mbusgw.runtime.clock import iso, parse_iso

log = logging.getLogger(__name__)

#: So many messages that the broker will not take are kept; then the oldest go.
SET_ASIDE_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message. ``ingest_id`` names the radio telegram it tells of. **immutable**

    ``missed`` is what becomes of a retained one that a newer one replaces before the broker took it (telemetry).
    ``spare``: it may be thinned out when too much of its kind waits.
    """

    topic: str
    payload: str
    retain: bool
    ingest_id: str | None = None
    missed: Message | None = None
    spare: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message in the outbox. **immutable**"""

    id: int
    topic: str
    payload: str
    retain: bool


def put(connection: sqlite3.Connection, messages: Iterable[Message], now: datetime) -> None:
    """Appends ``messages`` in order. A retained one replaces what still waits on its topic: only the newest counts.

    What would then be missed goes before it; one that brings nothing of that kind itself (the same state once more)
    takes it over.
    """
    created_at, replaced = iso(now), 0
    for message in messages:
        missed = message.missed
        if message.retain:
            for row in _replace(connection, message.topic):
                replaced += 1
                if row is None:
                    continue
                if missed is None and message.payload:
                    missed = row
                else:
                    _append(connection, row, None, created_at)
        _append(connection, message, missed, created_at)
    if replaced:
        connection.execute("UPDATE counters SET value = value + ? WHERE name = 'coalesced'", (replaced,))


def _replace(connection: sqlite3.Connection, topic: str) -> list[Message | None]:
    """Removes what waits on a retained topic; of each the message that would be missed."""
    rows = connection.execute(
        "DELETE FROM mqtt_queue WHERE topic = ? AND retain = 1 RETURNING missed_topic, missed_payload, spare", (topic,)
    ).fetchall()
    return [Message(row[0], row[1], retain=False, spare=bool(row[2])) if row[0] else None for row in rows]


def _append(connection: sqlite3.Connection, message: Message, missed: Message | None, created_at: str) -> None:
    connection.execute(
        "INSERT INTO mqtt_queue"
        " (topic, payload, retain, created_at, ingest_id, missed_topic, missed_payload, spare)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            message.topic,
            message.payload,
            message.retain,
            created_at,
            message.ingest_id,
            missed.topic if missed else None,
            missed.payload if missed else None,
            missed.spare if missed else message.spare,
        ),
    )


def thin(connection: sqlite3.Connection, most: int) -> None:
    """Leaves out every second message on each topic of those that are ``spare``, if more than ``most`` of them wait."""
    waiting = connection.execute("SELECT value FROM counters WHERE name = 'spare'").fetchone()[0]
    if waiting <= most:
        return
    gone = connection.execute(
        "DELETE FROM mqtt_queue WHERE id IN (SELECT id FROM ("
        " SELECT id, row_number() OVER (PARTITION BY topic ORDER BY id) AS place"
        " FROM mqtt_queue WHERE spare = 1 AND retain = 0) WHERE place % 2 = 0)"
    ).rowcount
    connection.execute("UPDATE counters SET value = value + ? WHERE name = 'thinned'", (gone,))
    log.warning(
        "the broker has been away for so long that %d missed readings wait for it: every second one of each wired"
        " meter is left out of its history topic (%d). All stay in table readings",
        waiting, gone,
    )  # fmt: skip


def enqueue(messages: Sequence[Message], now: datetime) -> Write:
    """``put`` as a unit of work."""
    return lambda connection: put(connection, messages, now)


def acknowledged(ids: Sequence[int], now: datetime) -> Write:
    """Removes what the broker has acknowledged; a telegram with nothing left to send becomes ``published``.

    Of a retained topic that the broker takes again nothing stays set aside.
    """

    def write(connection: sqlite3.Connection) -> None:
        marks = ",".join("?" * len(ids))
        rows = connection.execute(
            f"DELETE FROM mqtt_queue WHERE id IN ({marks}) RETURNING ingest_id, topic, retain", ids
        ).fetchall()
        if connection.execute("SELECT value FROM counters WHERE name = 'set_aside'").fetchone()[0]:
            taken = [(row[1],) for row in rows if row[2]]
            connection.executemany("DELETE FROM set_aside WHERE topic = ? AND retain = 1", taken)
        for ingest_id in {row[0] for row in rows if row[0] is not None}:
            _published(connection, ingest_id, now)

    return write


def refused(ids: Sequence[int], reason: str, now: datetime) -> Write:
    """Sets aside what the broker will never take, of a retained topic only the newest.

    A telegram whose outcome it was has failed, and says why; one that still waits (for the parser, for its key) goes
    on waiting.
    """

    def write(connection: sqlite3.Connection) -> None:
        for row_id in ids:
            row = connection.execute(
                "DELETE FROM mqtt_queue WHERE id = ? RETURNING ingest_id, topic, payload, retain, created_at", (row_id,)
            ).fetchone()
            if row:
                _set_aside(connection, row, reason, now)
            if row and row[0]:
                connection.execute(
                    "UPDATE telegrams SET status = 'failed', reason = ? WHERE ingest_id = ? AND status = 'parsed'",
                    (f"the broker refuses it: {reason}", row[0]),
                )

    return write


def _set_aside(connection: sqlite3.Connection, row: tuple[Any, ...], reason: str, now: datetime) -> None:
    ingest_id, topic, payload, retain, created_at = row
    if retain:
        connection.execute("DELETE FROM set_aside WHERE topic = ? AND retain = 1", (topic,))
    newest = connection.execute(
        "INSERT INTO set_aside (topic, payload, retain, created_at, ingest_id, reason, set_aside_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (topic, payload, retain, created_at, ingest_id, reason, iso(now)),
    ).fetchone()[0]
    connection.execute("DELETE FROM set_aside WHERE id <= ?", (newest - SET_ASIDE_MAX,))


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


def set_aside(connection: sqlite3.Connection, limit: int) -> list[dict[str, Any]]:
    """The newest messages that the broker would not take, without their payloads."""
    rows = connection.execute(
        "SELECT topic, reason, length(payload), ingest_id, set_aside_at FROM set_aside ORDER BY id DESC LIMIT ?",
        (limit,),
    )
    names = ("topic", "reason", "characters", "ingest_id", "set_aside_at")
    return [dict(zip(names, row)) for row in rows]


def oldest_s(connection: sqlite3.Connection, now: datetime) -> float:
    """How long the first message in line has waited, in seconds; 0 if none waits."""
    row = connection.execute("SELECT created_at FROM mqtt_queue ORDER BY id LIMIT 1").fetchone()
    return max(0.0, (now - parse_iso(row[0])).total_seconds()) if row else 0.0
