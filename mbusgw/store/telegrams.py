"""Radio telegrams on disk and what becomes of them: received → parsed → published, or deferred, key_missing,
failed, duplicate."""
from __future__ import annotations

import hashlib
import sqlite3
from datetime import datetime, timedelta

from mbusgw.model.ports import Write
from mbusgw.model.submission import Accepted
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.runtime.clock import iso, parse_iso


class Status:
    """The words in ``telegrams.status``."""

    RECEIVED = "received"
    PARSED = "parsed"
    PUBLISHED = "published"
    DEFERRED = "deferred"
    KEY_MISSING = "key_missing"
    FAILED = "failed"
    DUPLICATE = "duplicate"

    #: Nothing more will happen to these by itself.
    FINAL = frozenset({PUBLISHED, FAILED, DUPLICATE})


def digest(gateway_id: str, raw: bytes) -> bytes:
    """What makes two receptions the same: ``sha256(gateway_id + raw_hex)``."""
    return hashlib.sha256(gateway_id.encode() + raw.hex().encode()).digest()


def insert(connection: sqlite3.Connection, telegram: ReceivedTelegram, *, dedup_window_s: float | None) -> Accepted:
    """Stores one telegram; one that was heard within the window is stored as ``duplicate`` of the first."""
    fingerprint = digest(telegram.gateway_id, telegram.raw)
    original = None
    if dedup_window_s is not None:
        since = iso(telegram.created_at - timedelta(seconds=dedup_window_s))
        original = connection.execute(
            "SELECT ingest_id FROM telegrams WHERE digest = ? AND created_at >= ? AND status != 'duplicate'"
            " ORDER BY created_at DESC LIMIT 1",
            (fingerprint, since),
        ).fetchone()
    connection.execute(
        "INSERT INTO telegrams (ingest_id, gateway_id, rx_time, rssi, raw_hex, status, created_at, mode,"
        " hint_meter_id, hint_manufacturer, key_hex, digest, duplicate_of) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            telegram.ingest_id,
            telegram.gateway_id,
            iso(telegram.rx_time),
            telegram.rssi_dbm,
            telegram.raw.hex().upper(),
            Status.DUPLICATE if original else Status.RECEIVED,
            iso(telegram.created_at),
            telegram.mode,
            telegram.hint_meter_id,
            telegram.hint_manufacturer,
            telegram.key.hex() if telegram.key and not original else None,
            fingerprint,
            original[0] if original else None,
        ),
    )
    return Accepted(telegram.ingest_id, duplicate=original is not None)


def backlog(connection: sqlite3.Connection) -> int:
    """How many telegrams wait for the parser."""
    return int(connection.execute("SELECT value FROM counters WHERE name = 'backlog'").fetchone()[0])


def due(connection: sqlite3.Connection, now: datetime, limit: int) -> list[str]:
    """The ids of those that wait for the parser now, oldest first: received, and deferred whose time has come."""
    received = connection.execute(
        "SELECT ingest_id FROM telegrams WHERE status = 'received' ORDER BY rowid LIMIT ?", (limit,)
    ).fetchall()
    deferred = connection.execute(
        "SELECT ingest_id FROM telegrams WHERE status = 'deferred' AND retry_at <= ? ORDER BY retry_at LIMIT ?",
        (iso(now), limit - len(received)),
    ).fetchall()
    return [row[0] for row in received + deferred]


def load(connection: sqlite3.Connection, ingest_id: str) -> tuple[ReceivedTelegram, int] | None:
    """One telegram and how often it was tried; None when there is none."""
    row = connection.execute("SELECT * FROM telegrams WHERE ingest_id = ?", (ingest_id,)).fetchone()
    if row is None:
        return None
    telegram = ReceivedTelegram(
        ingest_id=row["ingest_id"],
        gateway_id=row["gateway_id"],
        raw=bytes.fromhex(row["raw_hex"]),
        rx_time=parse_iso(row["rx_time"]),
        created_at=parse_iso(row["created_at"]),
        rssi_dbm=row["rssi"],
        mode=row["mode"],
        hint_meter_id=row["hint_meter_id"],
        hint_manufacturer=row["hint_manufacturer"],
        key=bytes.fromhex(row["key_hex"]) if row["key_hex"] else None,
        status=row["status"],
    )
    return telegram, row["attempts"]


def settle(
    ingest_id: str, status: str, *, meter_id: str | None, reason: str | None = None, retry_at: datetime | None = None
) -> Write:
    """The outcome of one try. The request's own key is forgotten unless it may be needed again."""
    keep_key = status == Status.DEFERRED

    def write(connection: sqlite3.Connection) -> None:
        connection.execute(
            "UPDATE telegrams SET status = ?, reason = ?, meter_id = coalesce(?, meter_id), retry_at = ?,"
            " attempts = attempts + 1, key_hex = CASE WHEN ? THEN key_hex END WHERE ingest_id = ?",
            (status, reason, meter_id, iso(retry_at) if retry_at else None, keep_key, ingest_id),
        )

    return write


def keep_result(ingest_id: str, parsed_json: str) -> Write:
    """What the parser said, once per telegram; a later answer replaces an earlier one."""
    return lambda connection: connection.execute(
        "INSERT OR REPLACE INTO parse_results (ingest_id, parsed_json) VALUES (?, ?)", (ingest_id, parsed_json)
    )


def outcome(connection: sqlite3.Connection, ingest_id: str) -> tuple[str, str | None, str | None] | None:
    """(status, reason, parsed_json) of one telegram."""
    row = connection.execute(
        "SELECT status, reason, parsed_json FROM telegrams LEFT JOIN parse_results USING (ingest_id)"
        " WHERE ingest_id = ?",
        (ingest_id,),
    ).fetchone()
    return (row[0], row[1], row[2]) if row else None


def keys_arrived(connection: sqlite3.Connection, meter_ids: list[str]) -> int:
    """Telegrams that waited for one of these meters' keys are to be parsed; says how many."""
    marks = ",".join("?" * len(meter_ids))
    return connection.execute(
        f"UPDATE telegrams SET status = 'received' WHERE status = 'key_missing' AND meter_id IN ({marks})", meter_ids
    ).rowcount


def forget(connection: sqlite3.Connection, before: datetime, limit: int) -> int:
    """Deletes up to ``limit`` settled telegrams older than ``before``; says how many. What waits is never deleted."""
    return connection.execute(
        "DELETE FROM telegrams WHERE rowid IN (SELECT rowid FROM telegrams WHERE created_at < ?"
        " AND status IN ('published', 'failed', 'duplicate') LIMIT ?)",
        (iso(before), limit),
    ).rowcount
