"""Which telegrams are parsed again: when a key arrives, or because somebody asks."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from mbusgw.model.meter import manufacturer_code
from mbusgw.store.keys import ANY, Who

_AGAIN = "UPDATE telegrams SET status = 'received', reason = NULL, retry_at = NULL"
#: Could not be read because of a key, as ``reason`` says it.
_WRONG_KEY = "reason >= 'KeyWrong:' AND reason < 'KeyWrong;'"
#: A maker that is not known fits every key.
_FITS = "(?2 IS NULL OR {maker} IS NULL OR {maker} = ?2)"
#: One statement for each index.
_OF_METER = (
    f"{_AGAIN} WHERE status = 'key_missing' AND meter_id = ?1 AND {_FITS.format(maker='manufacturer')}",
    f"{_AGAIN} WHERE status = 'key_missing' AND hint_meter_id = ?1 AND {_FITS.format(maker='hint_manufacturer')}",
    f"{_AGAIN} WHERE status = 'failed' AND meter_id = ?1 AND {_FITS.format(maker='manufacturer')} AND {_WRONG_KEY}",
    f"{_AGAIN} WHERE status = 'failed' AND hint_meter_id = ?1 AND {_FITS.format(maker='hint_manufacturer')}"
    f" AND {_WRONG_KEY}",
)
#: Telegrams of before the maker was noted have it in their link layer (M-field, low byte first).
_OF_MAKER = (
    f"{_AGAIN} WHERE (status = 'key_missing' OR status = 'failed' AND {_WRONG_KEY})"
    " AND (manufacturer = ?1 OR manufacturer IS NULL AND substr(raw_hex, 5, 4) = ?2"
    " OR hint_meter_id IS NOT NULL AND hint_manufacturer = ?1)"
)


def keys_changed(connection: sqlite3.Connection, changed: Iterable[Who]) -> list[str]:
    """Telegrams that wait for one of these meters' keys, or were tried with a wrong one, are parsed (again).

    Returns their ingest ids.
    """
    found: list[str] = []
    for meter_id, manufacturer in changed:
        if meter_id == ANY and manufacturer is not None:
            wire = manufacturer_code(manufacturer).to_bytes(2, "little").hex().upper()
            found += _ids(connection, _OF_MAKER, (manufacturer, wire))
            continue
        for statement in _OF_METER:
            found += _ids(connection, statement, (meter_id, manufacturer))
    return found


def _ids(connection: sqlite3.Connection, statement: str, values: tuple[str | None, ...]) -> list[str]:
    return [row[0] for row in connection.execute(f"{statement} RETURNING ingest_id", values)]
