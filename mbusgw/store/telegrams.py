"""Radio telegrams on disk and what becomes of them: received → parsed → published, or deferred, key_missing,
failed, duplicate."""
from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

from mbusgw.model.errors import KeyLocked, StoreError
from mbusgw.model.ports import Write
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.runtime.clock import iso, parse_iso
from mbusgw.store.vault import PLAIN, Vault

#: No telegram is deferred for longer.
RETRY_HORIZON = timedelta(days=1)


class Status:
    """The words in ``telegrams.status``."""

    RECEIVED = "received"
    PARSED = "parsed"
    PUBLISHED = "published"
    DEFERRED = "deferred"
    KEY_MISSING = "key_missing"
    FAILED = "failed"
    DUPLICATE = "duplicate"


#: Still to be parsed.
UNREAD = (Status.RECEIVED, Status.DEFERRED)


def backlog(connection: sqlite3.Connection) -> int:
    """How many telegrams wait for the parser."""
    return int(connection.execute("SELECT value FROM counters WHERE name = 'backlog'").fetchone()[0])


def due(connection: sqlite3.Connection, now: datetime | None, limit: int) -> list[str]:
    """The ids of those that wait for the parser now, oldest first: received, and deferred whose time has come.

    ``now`` None: all that are deferred. A time further off than any pause is the mark of a
    clock that was set back, and counts as come.
    """
    received = connection.execute(
        "SELECT ingest_id FROM telegrams WHERE status = 'received' ORDER BY rowid LIMIT ?", (limit,)
    ).fetchall()
    when, times = "", []
    if now is not None:
        when, times = " AND (retry_at <= ? OR retry_at > ?)", [iso(now), iso(now + RETRY_HORIZON)]
    deferred = connection.execute(
        f"SELECT ingest_id FROM telegrams WHERE status = 'deferred'{when} ORDER BY retry_at LIMIT ?",
        (*times, limit - len(received)),
    ).fetchall()
    return [row[0] for row in received + deferred]


def load(
    connection: sqlite3.Connection, ingest_id: str, vault: Vault = PLAIN
) -> tuple[ReceivedTelegram, int] | None:
    """One telegram and how often it was tried; None when there is none."""
    row = connection.execute("SELECT * FROM telegrams WHERE ingest_id = ?", (ingest_id,)).fetchone()
    if row is None:
        return None
    key, locked = None, False
    if row["key_hex"]:
        try:
            key = vault.open(row["key_hex"], ingest_id)
        except KeyLocked:
            locked = True
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
        key=key,
        key_locked=locked,
        status=row["status"],
    )
    return telegram, row["attempts"]


def settle(
    ingest_id: str,
    status: str,
    *,
    meter_id: str | None,
    manufacturer: str | None = None,
    reason: str | None = None,
    retry_at: datetime | None = None,
    waits_for: str | None = None,
    keep_key: bool = False,
) -> Write:
    """The outcome of one try. The request's own key is forgotten unless it will be needed again: to try once more, or
    (``keep_key``) by somebody who forgets it then (``forget_key``).

    ``waits_for`` names what ends the waiting at once (``recall``).

    Raises ``StoreError`` for a telegram that does not wait (any more): the unit is undone, and nothing is said twice.
    """
    deferred = status == Status.DEFERRED

    def write(connection: sqlite3.Connection) -> None:
        cursor = connection.execute(
            "UPDATE telegrams SET status = ?, reason = ?, meter_id = coalesce(?, meter_id),"
            " manufacturer = coalesce(?, manufacturer), retry_at = ?,"
            " waits_for = ?, attempts = attempts + 1, key_hex = CASE WHEN ? THEN key_hex END"
            " WHERE ingest_id = ? AND status IN ('received', 'deferred')",
            (
                status,
                reason,
                meter_id,
                manufacturer,
                iso(retry_at) if retry_at else None,
                waits_for,
                deferred or keep_key,
                ingest_id,
            ),
        )
        if not cursor.rowcount:
            raise StoreError(f"telegram {ingest_id} is settled already", retryable=True)
        if not deferred:
            connection.execute(
                "UPDATE telegrams SET key_hex = NULL WHERE duplicate_of = ? AND key_hex IS NOT NULL", (ingest_id,)
            )

    return write


def forget_key(connection: sqlite3.Connection, ingest_id: str) -> None:
    """The key of its request is not needed any more, unless it is to be parsed again."""
    connection.execute(
        "UPDATE telegrams SET key_hex = NULL WHERE ingest_id = ? AND key_hex IS NOT NULL"
        f" AND status NOT IN ({','.join('?' * len(UNREAD))})",
        (ingest_id, *UNREAD),
    )


def recall(now: datetime) -> Write:
    """What is deferred is due now: its reason has gone."""
    return lambda connection: connection.execute(
        "UPDATE telegrams SET retry_at = ?1 WHERE status = 'deferred' AND retry_at > ?1 AND waits_for IS NULL",
        (iso(now),),
    )


def arrived(what: str, now: datetime) -> Write:
    """What was deferred until this came is due now."""
    return lambda connection: connection.execute(
        "UPDATE telegrams SET retry_at = ? WHERE status = 'deferred' AND waits_for = ?", (iso(now), what)
    )


def keep_result(ingest_id: str, parsed_json: str) -> Write:
    """What the parser said, once per telegram; a later answer replaces an earlier one."""
    return lambda connection: connection.execute(
        "INSERT OR REPLACE INTO parse_results (ingest_id, parsed_json) VALUES (?, ?)", (ingest_id, parsed_json)
    )


def was_read(connection: sqlite3.Connection, ingest_id: str) -> bool:
    """Whether a parser has read it before."""
    found = connection.execute("SELECT 1 FROM parse_results WHERE ingest_id = ?", (ingest_id,))
    return found.fetchone() is not None


def outcome(connection: sqlite3.Connection, ingest_id: str) -> tuple[str, str | None, str | None] | None:
    """(status, reason, parsed_json) of one telegram."""
    row = connection.execute(
        "SELECT status, reason, parsed_json FROM telegrams LEFT JOIN parse_results USING (ingest_id)"
        " WHERE ingest_id = ?",
        (ingest_id,),
    ).fetchone()
    return (row[0], row[1], row[2]) if row else None
