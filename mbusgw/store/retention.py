"""Which rows have had their time, whatever the clock has said meanwhile.

Rows go in the order in which they came, and only as far as the first one that is still young. A date that cannot be
right (before 2020; in the future) tells nothing: such a row goes together with its neighbours.
"""
from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta

from mbusgw.runtime.clock import iso, parse_iso
from mbusgw.store import outputs

#: A row that says an earlier date was written while the clock was not set.
_FIRST = "2020"
#: A row may be ahead by so much: gateways have clocks of their own.
_AHEAD = timedelta(days=1)
_LAST = 1 << 62


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with a date. ``free`` tells those that nobody needs any more. **immutable**"""

    name: str
    date: str
    free: str = "TRUE"


READINGS = Table("readings", "read_at")
#: What waits for the parser or the broker is never deleted. What waits for a key is: most of it is from the
#: neighbours' meters, whose keys will never come, and it was said on the errors topic.
TELEGRAMS = Table("telegrams", "created_at", "status IN ('published', 'failed', 'duplicate', 'key_missing')")


def oldest(reader: sqlite3.Connection, table: Table, now: datetime) -> datetime | None:
    """The date of the first row that has a right one. Any thread."""
    right, dates = _right(table, now)
    row = reader.execute(
        f"SELECT {table.date} FROM {table.name} WHERE {right} ORDER BY rowid LIMIT 1", dates
    ).fetchone()
    return parse_iso(row[0]) if row else None


def last_before(reader: sqlite3.Connection, table: Table, before: datetime, now: datetime) -> int | None:
    """The number of the last row from before ``before``, of those that no younger one precedes. Any thread."""
    right, dates = _right(table, now)
    end = iso(before)
    young = reader.execute(
        f"SELECT rowid FROM {table.name} WHERE {right} AND +{table.date} >= ? ORDER BY rowid LIMIT 1", [*dates, end]
    ).fetchone()
    last = reader.execute(
        f"SELECT rowid FROM {table.name} WHERE {right} AND +{table.date} < ? AND rowid < ? ORDER BY rowid DESC LIMIT 1",
        [*dates, end, young[0] if young else _LAST],
    ).fetchone()
    return int(last[0]) if last else None


def _right(table: Table, now: datetime) -> tuple[str, list[str]]:
    """As SQL: the date can be right. The + keeps the planner from the index by date: the order of the rows counts."""
    return f"+{table.date} >= ? AND +{table.date} <= ?", [_FIRST, iso(now + _AHEAD)]


def forget(connection: sqlite3.Connection, table: Table, last: int, limit: int, *, after: int = 0) -> tuple[int, int]:
    """Deletes up to ``limit`` free rows behind number ``after`` and up to ``last``.

    Gives how many these were, and the number of the last of them. The store's thread.
    """
    numbers = [
        row[0]
        for row in connection.execute(
            f"SELECT rowid FROM {table.name} WHERE rowid > ? AND rowid <= ? AND {table.free} ORDER BY rowid LIMIT ?",
            (after, last, limit),
        )
    ]
    if not numbers:
        return 0, last
    if table is READINGS:
        outputs.forgotten(connection, numbers)
    connection.execute(
        f"DELETE FROM {table.name} WHERE rowid BETWEEN ? AND ? AND {table.free}", (numbers[0], numbers[-1])
    )
    return len(numbers), numbers[-1]
