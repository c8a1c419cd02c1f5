"""The telegrams as people ask for them: found by status, meter, gateway and time, shown whole, run again."""
from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mbusgw.model.errors import StoreError
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import iso
from mbusgw.store.telegrams import Status

STATUSES = tuple(value for name, value in vars(Status).items() if name.isupper())
#: What can be run again. A duplicate stands for another telegram, and what is received or parsed is on its way.
REPLAYABLE = (Status.FAILED, Status.KEY_MISSING, Status.DEFERRED, Status.PUBLISHED)
#: What is run again where nobody says otherwise: what was read already is only read again on purpose.
UNREAD = (Status.FAILED, Status.KEY_MISSING, Status.DEFERRED)
#: A question that takes longer is given up: it would keep the disk busy.
LONGEST_S = 10.0
_STEPS = 100_000

_COLUMNS = (
    "rowid, ingest_id, gateway_id, rx_time, created_at, rssi, mode, raw_hex, status, reason, attempts, retry_at,"
    " meter_id, manufacturer, duplicate_of"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which telegrams; what is None or empty does not matter. ``since`` and ``until``: when they came in, aware UTC.
    **immutable**"""

    statuses: Sequence[str] = ()
    meter_id: str | None = None
    manufacturer: str | None = None
    gateway_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ingest_ids: Sequence[str] = ()

    @property
    def everything(self) -> bool:
        """Nothing is said."""
        return self == Wanted()

    def condition(self) -> tuple[str, list[Any]]:
        """As SQL, and the values in it."""
        parts: list[tuple[str, Sequence[Any]]] = []
        if self.statuses:
            parts.append((f"status IN ({','.join('?' * len(self.statuses))})", self.statuses))
        if self.ingest_ids:
            parts.append(("ingest_id IN (SELECT value FROM json_each(?))", [exactjson.dumps(list(self.ingest_ids))]))
        for text, value in (
            ("meter_id = ?", self.meter_id),
            ("manufacturer = ?", self.manufacturer),
            ("gateway_id = ?", self.gateway_id),
            ("created_at >= ?", iso(self.since) if self.since else None),
            ("created_at < ?", iso(self.until) if self.until else None),
        ):
            if value is not None:
                parts.append((text, [value]))
        return " AND ".join(text for text, _ in parts) or "TRUE", [value for _, values in parts for value in values]


def select(
    connection: sqlite3.Connection, wanted: Wanted, *, limit: int, before: int | None = None
) -> tuple[list[dict[str, Any]], int | None]:
    """The newest ``limit`` telegrams as documents, and where the next page begins (``before``); None at the end.

    Raises ``StoreError`` when it takes too long.
    """
    condition, values = wanted.condition()
    if before is not None:
        condition, values = f"{condition} AND rowid < ?", [*values, before]
    query = f"SELECT {_COLUMNS} FROM telegrams WHERE {condition} ORDER BY rowid DESC LIMIT ?"
    rows = _patiently(connection, query, [*values, limit + 1])
    documents = [_document(connection, row) for row in rows[:limit]]
    return documents, int(rows[limit - 1]["rowid"]) if len(rows) > limit else None


def show(connection: sqlite3.Connection, ingest_id: str) -> dict[str, Any] | None:
    """One telegram with what the parser made of it; None when there is none."""
    rows = _patiently(connection, f"SELECT {_COLUMNS} FROM telegrams WHERE ingest_id = ?", [ingest_id])
    if not rows:
        return None
    document = _document(connection, rows[0])
    query = "SELECT parsed_json, published_at FROM parse_results WHERE ingest_id = ?"
    result = connection.execute(query, (ingest_id,)).fetchone()
    document["published_at"] = result["published_at"] if result else None
    document["result"] = exactjson.loads(result["parsed_json"]) if result else None
    return document


def replayable(connection: sqlite3.Connection, wanted: Wanted, *, limit: int) -> list[str]:
    """The ids of ``limit`` telegrams that could be parsed again. Raises ``StoreError`` when it takes too long.

    Those that were tried least come first, then the oldest: who asks again gets the next ones.
    """
    condition, values = wanted.condition()
    query = (
        f"SELECT ingest_id FROM telegrams WHERE {condition} AND status IN ({','.join('?' * len(REPLAYABLE))})"
        " ORDER BY attempts, rowid LIMIT ?"
    )
    return [row[0] for row in _patiently(connection, query, [*values, *REPLAYABLE, limit])]


def replay(connection: sqlite3.Connection, ingest_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Has those of the telegrams parsed again that (still) can be; returns (ingest id, gateway) of each.

    The key of the request is forgotten once a telegram was parsed: what was encrypted needs a stored one, or keeps
    its old reading.
    """
    done = connection.execute(
        "UPDATE telegrams SET status = 'received', reason = NULL, retry_at = NULL"
        f" WHERE ingest_id IN (SELECT value FROM json_each(?)) AND status IN ({','.join('?' * len(REPLAYABLE))})"
        " RETURNING ingest_id, gateway_id",
        [exactjson.dumps(list(ingest_ids)), *REPLAYABLE],
    )
    return [(row[0], row[1]) for row in done]


def _patiently(connection: sqlite3.Connection, query: str, values: Sequence[Any]) -> list[sqlite3.Row]:
    deadline_mono = time.monotonic() + LONGEST_S
    connection.set_progress_handler(lambda: time.monotonic() > deadline_mono, _STEPS)
    try:
        return connection.execute(query, values).fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        raise StoreError("that takes too long; ask for less", hint="name a meter, or a shorter time") from None
    finally:
        connection.set_progress_handler(None, 0)


def _document(connection: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    heard = connection.execute(
        "SELECT ingest_id, gateway_id, rx_time, rssi FROM telegrams WHERE ingest_id = ?1 OR duplicate_of = ?1"
        " ORDER BY rowid",
        (row["duplicate_of"] or row["ingest_id"],),
    )
    return {
        "ingest_id": row["ingest_id"],
        "gateway_id": row["gateway_id"],
        "status": row["status"],
        "reason": row["reason"],
        "tries": row["attempts"],
        "retry_at": row["retry_at"],
        "meter_id": row["meter_id"],
        "manufacturer": row["manufacturer"],
        "rx_time": row["rx_time"],
        "created_at": row["created_at"],
        "rssi_dbm": row["rssi"],
        "mode": row["mode"],
        "raw_hex": row["raw_hex"],
        "duplicate_of": row["duplicate_of"],
        "receptions": [
            {"ingest_id": other[0], "gateway_id": other[1], "rx_time": other[2], "rssi_dbm": other[3]}
            for other in heard
        ],
    }
