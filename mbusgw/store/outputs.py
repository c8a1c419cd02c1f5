"""How far each output has got in the history of readings, which is its queue; and what it will never take."""
from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mbusgw.model.ports import Write
from mbusgw.runtime.clock import iso

#: So many readings that outputs will not take are listed; then the oldest entries go.
SET_ASIDE_MAX = 1000


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reading that an output will never take. **immutable**"""

    reading_id: int
    device_id: str
    read_at: datetime
    reason: str


def enter(name: str) -> Write:
    """Gives the id of the last reading that the output has; a new one begins with what is read from now on."""

    def write(connection: sqlite3.Connection) -> int:
        connection.execute(
            "INSERT INTO outputs (name, reading_id) VALUES (?, coalesce((SELECT seq FROM sqlite_sequence"
            " WHERE name = 'readings'), 0)) ON CONFLICT DO NOTHING",
            (name,),
        )
        return int(connection.execute("SELECT reading_id FROM outputs WHERE name = ?", (name,)).fetchone()[0])

    return write


def advance(name: str, reading_id: int, refusals: Sequence[Refusal], now: datetime) -> Write:
    """The output has all readings up to ``reading_id`` but for ``refusals``. It never goes back."""

    def write(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE outputs SET reading_id = max(reading_id, ?) WHERE name = ?", (reading_id, name))
        for one in refusals:
            newest = connection.execute(
                "INSERT INTO output_set_aside (output, reading_id, device_id, read_at, reason, set_aside_at)"
                " VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
                (name, one.reading_id, one.device_id, iso(one.read_at), one.reason, iso(now)),
            ).fetchone()[0]
            connection.execute("DELETE FROM output_set_aside WHERE id <= ?", (newest - SET_ASIDE_MAX,))

    return write


def keep_only(names: Sequence[str]) -> Write:
    """Forgets every other output."""

    def write(connection: sqlite3.Connection) -> None:
        marks = ",".join("?" * len(names))
        connection.execute(f"DELETE FROM outputs WHERE name NOT IN ({marks})", names)
        connection.execute(f"DELETE FROM output_set_aside WHERE output NOT IN ({marks})", names)

    return write


def forgotten(connection: sqlite3.Connection, reading_ids: Sequence[int]) -> None:
    """The history has forgotten these readings: outputs that had not got so far have lost them."""
    for name, reading_id in connection.execute("SELECT name, reading_id FROM outputs").fetchall():
        lost = sum(one > reading_id for one in reading_ids)
        if lost:
            connection.execute("UPDATE outputs SET lost = lost + ? WHERE name = ?", (lost, name))


def lost(connection: sqlite3.Connection) -> dict[str, int]:
    """By output, how many readings it has lost."""
    return dict(connection.execute("SELECT name, lost FROM outputs"))


def set_aside(connection: sqlite3.Connection, name: str, limit: int) -> list[dict[str, Any]]:
    """The newest readings that an output would not take."""
    rows = connection.execute(
        "SELECT device_id, read_at, reason, set_aside_at FROM output_set_aside WHERE output = ?"
        " ORDER BY id DESC LIMIT ?",
        (name, limit),
    )
    return [dict(zip(("device_id", "read_at", "reason", "set_aside_at"), row)) for row in rows]
