"""Which telegrams were heard within the window, known by content: in memory, rebuilt from the disk after a start.

An index on disk would cost more than all the rest of a telegram: contents are random, so that each one of a commit
changes, and has written, a page of its own. As a temporary table of the writer's connection this one is never synced,
takes part in every rollback, and lies in a file of its own where a window is too long for memory.
"""
from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

#: Contents that one statement looks for.
_CONTENTS_MAX = 128

#: So many are remembered at least, if there are as many.
KEPT = 10_000
_NO_ROW = 1 << 62

_TABLE = """
    CREATE TEMP TABLE recent (telegram INTEGER PRIMARY KEY, content BLOB NOT NULL UNIQUE)
"""
#: The first row that is remembered. Some are whatever their time: a clock that jumps and comes back hides nothing.
_OLDEST = f"""
    SELECT min(
        coalesce((SELECT rowid FROM telegrams WHERE created_at >= ? ORDER BY created_at LIMIT 1), {_NO_ROW}),
        (SELECT max(rowid) FROM telegrams) - {KEPT} + 1
    )
"""


@dataclass(frozen=True, slots=True)
class Original:
    """The telegram that later receptions are duplicates of, with columns as they are stored. **immutable**"""

    ingest_id: str
    created_at: str
    status: str
    reason: str | None = None


def find(connection: sqlite3.Connection, contents: Sequence[bytes], since: str) -> dict[bytes, Original]:
    """The newest telegrams with ``contents``, by these. The store's thread.

    Where another one stands for the first by now (``arrivals.hand_over``), that. All from ``since`` on are known, some
    from before it may be.
    """
    if not connection.execute("SELECT 1 FROM temp.sqlite_master WHERE name = 'recent'").fetchone():
        _build(connection, since)
    connection.execute(f"DELETE FROM temp.recent WHERE telegram < ({_OLDEST})", (since,))
    found: dict[bytes, Original] = {}
    for at in range(0, len(contents), _CONTENTS_MAX):
        some = contents[at : at + _CONTENTS_MAX]
        places = 1 << (len(some) - 1).bit_length()  # powers of two: few different statements, which stay prepared
        rows = connection.execute(
            "SELECT recent.content, original.ingest_id, original.created_at, original.status, original.reason"
            " FROM temp.recent JOIN telegrams AS first ON first.rowid = telegram AND first.content = recent.content"
            " JOIN telegrams AS original ON original.ingest_id = coalesce(first.duplicate_of, first.ingest_id)"
            f" WHERE recent.content IN ({','.join('?' * places)})",
            (*some, *(None,) * (places - len(some))),
        )
        found |= {row[0]: Original(*row[1:]) for row in rows}
    return found


def remember(connection: sqlite3.Connection, first: int, last: int) -> None:
    """The telegrams in these rows are stored now. The store's thread."""
    connection.execute(
        "INSERT OR REPLACE INTO temp.recent SELECT rowid, content FROM telegrams"
        " WHERE rowid BETWEEN ? AND ? AND status != 'duplicate' AND content IS NOT NULL",
        (first, last),
    )


def _build(connection: sqlite3.Connection, since: str) -> None:
    connection.execute(_TABLE)
    (oldest,) = connection.execute(_OLDEST, (since,)).fetchone()
    remember(connection, oldest or 0, _NO_ROW)
