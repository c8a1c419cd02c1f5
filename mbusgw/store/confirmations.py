"""Readings of our own decoder that the service is still to be asked about, on disk."""
from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

from mbusgw.model.ports import Write
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import iso
from mbusgw.store import telegrams

#: More are not asked about: a confirmation is a service, no promise.
MOST_CONFIRMATIONS = 10_000
#: No question is put off for longer.
RETRY_HORIZON = timedelta(days=1)


def queue(ingest_id: str, now: datetime, *, most: int = MOST_CONFIRMATIONS) -> Write:
    """This reading is to be confirmed, if not too many wait. The key of its request is kept as long as it waits."""

    def write(connection: sqlite3.Connection) -> None:
        cursor = connection.execute(
            "INSERT OR REPLACE INTO confirmations (ingest_id, retry_at, created_at) SELECT ?1, ?2, ?2"
            " WHERE (SELECT count(*) FROM confirmations) < ?3",
            (ingest_id, iso(now), most),
        )
        if not cursor.rowcount:
            telegrams.forget_key(connection, ingest_id)

    return write


def due(connection: sqlite3.Connection, now: datetime) -> tuple[str, int] | None:
    """(ingest id, tries so far) of the one that waits longest; None when none is due.

    A time further off than any pause is the mark of a clock that was set back, and counts as come.
    """
    row = connection.execute(
        "SELECT ingest_id, attempts FROM confirmations WHERE retry_at <= ? OR retry_at > ? ORDER BY retry_at LIMIT 1",
        (iso(now), iso(now + RETRY_HORIZON)),
    ).fetchone()
    return (row[0], row[1]) if row else None


def postpone(ingest_id: str, retry_at: datetime) -> Write:
    """The service could not be asked."""
    return lambda connection: connection.execute(
        "UPDATE confirmations SET attempts = attempts + 1, retry_at = ? WHERE ingest_id = ?", (iso(retry_at), ingest_id)
    )


def recall(now: datetime) -> Write:
    """The service is back: all are due."""
    return lambda connection: connection.execute(
        "UPDATE confirmations SET retry_at = ?1 WHERE retry_at > ?1", (iso(now),)
    )


def done(ingest_id: str) -> Write:
    """Nothing more is to be asked about this one."""

    def write(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM confirmations WHERE ingest_id = ?", (ingest_id,))
        telegrams.forget_key(connection, ingest_id)

    return write


def confirm(ingest_id: str, parsed_json: str, now: datetime) -> Write:
    """The service has confirmed it; the stored result holds its answer now."""
    return lambda connection: connection.execute(
        "UPDATE parse_results SET parsed_json = ?, confirmed_at = ? WHERE ingest_id = ?",
        (parsed_json, iso(now), ingest_id),
    )


def result(connection: sqlite3.Connection, ingest_id: str) -> dict[str, object] | None:
    """What was said of a telegram so far; None where nothing was."""
    row = connection.execute("SELECT parsed_json FROM parse_results WHERE ingest_id = ?", (ingest_id,)).fetchone()
    document = exactjson.loads(row[0]) if row else None
    return document if isinstance(document, dict) else None


def waiting(connection: sqlite3.Connection) -> int:
    """How many wait."""
    return int(connection.execute("SELECT count(*) FROM confirmations").fetchone()[0])
