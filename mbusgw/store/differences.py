"""Where two parsers read one telegram differently, on disk for a person to look at."""
from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mbusgw.model.ports import Write
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.runtime.clock import iso
from mbusgw.store import confirmations
from mbusgw.store.database import translate

#: Older ones go.
MOST_DIFFERENCES = 10_000


def keep(
    telegram: ReceivedTelegram,
    meter_id: str | None,
    found: Sequence[str],
    now: datetime,
    *,
    most: int = MOST_DIFFERENCES,
) -> Write:
    """Stores the sentences in which the answers for ``telegram`` differ, instead of those of an earlier try."""

    def write(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM parse_differences WHERE ingest_id = ?", (telegram.ingest_id,))
        connection.executemany(
            "INSERT INTO parse_differences (ingest_id, gateway_id, meter_id, found_at, difference)"
            " VALUES (?, ?, ?, ?, ?)",
            [(telegram.ingest_id, telegram.gateway_id, meter_id, iso(now), sentence) for sentence in found],
        )
        connection.execute(
            "DELETE FROM parse_differences"
            " WHERE id <= (SELECT id FROM parse_differences ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (most,),
        )

    return write


def newest(connection: sqlite3.Connection, limit: int) -> list[dict[str, Any]]:
    """The newest ones first."""
    rows = connection.execute(
        "SELECT ingest_id, gateway_id, meter_id, found_at, difference FROM parse_differences ORDER BY id DESC LIMIT ?",
        (limit,),
    )
    return [dict(zip(("ingest_id", "gateway_id", "meter_id", "found_at", "difference"), row)) for row in rows]


def count(connection: sqlite3.Connection) -> int:
    """How many are kept."""
    return int(connection.execute("SELECT count(*) FROM parse_differences").fetchone()[0])


def overview(connection: sqlite3.Connection, limit: int) -> dict[str, Any]:
    """How many there are, the newest, and how many readings are still to be confirmed. Raises ``StoreError``."""
    try:
        return {
            "differences": count(connection),
            "newest_differences": newest(connection, limit),
            "to_confirm": confirmations.waiting(connection),
        }
    except sqlite3.Error as error:
        raise translate(error) from error
