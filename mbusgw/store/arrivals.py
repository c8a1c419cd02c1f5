"""Radio telegrams as they arrive: stored, and told from those that were heard already."""
from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import lru_cache

from mbusgw.model.errors import KeyLocked
from mbusgw.model.ports import Write
from mbusgw.model.submission import Accepted
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import iso, parse_iso
from mbusgw.store import recent
from mbusgw.store.recent import Original
from mbusgw.store.telegrams import UNREAD, Status
from mbusgw.store.vault import PLAIN, Vault

#: A reason to fail: the meter is restricted to other gateways.
_EXCLUDED = "GatewayExcluded:"
#: Rows that one statement stores at most.
_ROWS_MAX = 128
_COLUMNS = (
    "ingest_id", "gateway_id", "rx_time", "rssi", "raw_hex", "status", "created_at", "mode",
    "hint_meter_id", "hint_manufacturer", "key_hex", "content", "duplicate_of",
)  # fmt: skip


def insert(
    connection: sqlite3.Connection,
    received: Sequence[ReceivedTelegram],
    *,
    dedup_window_s: float | None,
    contents: Sequence[bytes] | None = None,
    vault: Vault = PLAIN,
) -> list[Accepted]:
    """Stores telegrams; one that was heard within the window, by whichever gateway, is stored as ``duplicate`` of
    the first. ``contents`` are what receptions of one telegram have in common, their bytes unless given.

    One that brings a key of its own is no duplicate of one that could not be read: with the key it may be. And none is
    a duplicate of one whose gateway does not count for its meter: its own may.
    """
    if not received:
        return []
    contents = contents or [telegram.raw for telegram in received]
    originals: dict[bytes, Original] = {}
    if dedup_window_s is not None:
        window = timedelta(seconds=dedup_window_s)
        since = min(telegram.created_at for telegram in received) - window
        originals = recent.find(connection, contents, iso(since))
    accepted, rows = [], []
    for telegram, content in zip(received, contents):
        created_at = iso(telegram.created_at)
        original = originals.get(content)
        if original is not None and not _covers(original, telegram, window):
            original = None
        if original is None and dedup_window_s is not None:
            originals[content] = Original(telegram.ingest_id, created_at, Status.RECEIVED)
        accepted.append(Accepted(telegram.ingest_id, duplicate_of=original.ingest_id if original else None))
        rows.append(_row(telegram, content, created_at, original, vault))
    last = _insert_rows(connection, rows)
    if dedup_window_s is not None:
        recent.remember(connection, last - len(rows) + 1, last)
    return accepted


def _covers(original: Original, telegram: ReceivedTelegram, window: timedelta) -> bool:
    """Is ``telegram``, of the same content, a duplicate of ``original``?"""
    # Both ends: after a clock was set back, what is "in the future" must not count for days.
    if abs(parse_iso(original.created_at) - telegram.created_at) > window:
        return False
    if original.status == Status.FAILED and (original.reason or "").startswith(_EXCLUDED):
        return False
    return not (telegram.key and original.status in (Status.KEY_MISSING, Status.FAILED))


def _row(
    telegram: ReceivedTelegram, content: bytes, created_at: str, original: Original | None, vault: Vault
) -> tuple[object, ...]:
    """The values of ``_COLUMNS``."""
    return (
        telegram.ingest_id,
        telegram.gateway_id,
        created_at if telegram.rx_time is telegram.created_at else iso(telegram.rx_time),
        telegram.rssi_dbm,
        telegram.raw.hex().upper(),
        Status.DUPLICATE if original else Status.RECEIVED,
        created_at,
        telegram.mode,
        telegram.hint_meter_id,
        telegram.hint_manufacturer,
        # A duplicate's is kept while it may yet have to stand for the first (``hand_over``).
        _own_key(telegram, vault) if not original or original.status in UNREAD else None,
        content,
        original.ingest_id if original else None,
    )


def _insert_rows(connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> int:
    """Stores ``rows`` under successive numbers; the last one.

    Many with one statement: each statement is a handover of the interpreter, and costs more than a row. Powers of two,
    so that few different ones stay prepared.
    """
    last, at = 0, 0
    while at < len(rows):
        count = 1 << min(len(rows) - at, _ROWS_MAX).bit_length() - 1
        values = [value for row in rows[at : at + count] for value in row]
        last = connection.execute(_insert_statement(count), values).lastrowid or 0
        at += count
    return last


@lru_cache
def _insert_statement(count: int) -> str:
    marks = ",".join("?" * len(_COLUMNS))
    return f"INSERT INTO telegrams ({','.join(_COLUMNS)}) VALUES {','.join([f'({marks})'] * count)}"


def _own_key(telegram: ReceivedTelegram, vault: Vault) -> str | None:
    if telegram.key is None:
        return None
    try:
        return vault.seal(telegram.key, telegram.ingest_id)
    except KeyLocked:  # a telegram without its key is worth nothing, and the column is emptied when it is parsed
        return telegram.key.hex()


def hand_over(ingest_id: str, gateways: Collection[str]) -> Write:
    """Has the first duplicate that one of ``gateways`` has heard (one that brought its key, if there is one) parsed
    instead of this telegram, before ``settle``.

    The others, and this one, are receptions of that from then on. Gives its id, None where there is none: then one
    that comes later is no duplicate (``insert``), so that in whichever order they come the listed one is parsed.
    """

    def write(connection: sqlite3.Connection) -> str | None:
        heir = connection.execute(
            "SELECT ingest_id FROM telegrams WHERE duplicate_of = ? AND status = 'duplicate'"
            " AND gateway_id IN (SELECT value FROM json_each(?)) ORDER BY key_hex IS NULL, rowid LIMIT 1",
            (ingest_id, exactjson.dumps(list(gateways))),
        ).fetchone()
        if heir is None:
            return None
        connection.execute(
            "UPDATE telegrams SET duplicate_of = ?1 WHERE duplicate_of = ?2 OR ingest_id = ?2", (heir[0], ingest_id)
        )
        # Its raw message has gone out as a duplicate's; that counts as a try.
        connection.execute(
            "UPDATE telegrams SET status = 'received', duplicate_of = NULL, attempts = 1 WHERE ingest_id = ?", heir
        )
        return str(heir[0])

    return write
