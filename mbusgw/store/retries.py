"""Which telegrams are parsed again: when a key arrives, or because somebody asks."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from mbusgw.model.meter import manufacturer_code
from mbusgw.store.keys import ANY, Who

_AGAIN = "UPDATE telegrams INDEXED BY {index} SET status = 'received', reason = NULL, retry_at = NULL"
#: Could not be read because of a key, as ``reason`` says it.
_WRONG_KEY = "reason >= 'KeyWrong:' AND reason < 'KeyWrong;'"
#: A maker that is not known fits every key.
_FITS = "(?2 IS NULL OR {maker} IS NULL OR {maker} = ?2)"
_KEYLESS, _KEYLESS_HINT, _FAILED, _FAILED_HINT = (
    _AGAIN.format(index=f"telegrams_{name}") for name in ("keyless", "keyless_hint", "failed", "failed_hint")
)
#: One statement for each index, which has nothing but what waits: that of a meter's whole history is a thousand times
#: as long, and the planner would take it.
_OF_METER = (
    f"{_KEYLESS} WHERE status = 'key_missing' AND meter_id = ?1 AND {_FITS.format(maker='manufacturer')}",
    f"{_KEYLESS_HINT} WHERE status = 'key_missing' AND hint_meter_id = ?1"
    f" AND {_FITS.format(maker='hint_manufacturer')}",
    f"{_FAILED} WHERE status = 'failed' AND meter_id = ?1 AND {_FITS.format(maker='manufacturer')} AND {_WRONG_KEY}",
    f"{_FAILED_HINT} WHERE status = 'failed' AND hint_meter_id = ?1 AND {_FITS.format(maker='hint_manufacturer')}"
    f" AND {_WRONG_KEY}",
)
#: Telegrams of before the maker was noted have it in their link layer (M-field, low byte first).
_BY_MAKER = (
    "(manufacturer = ?1 OR manufacturer IS NULL AND substr(raw_hex, 5, 4) = ?2"
    " OR hint_meter_id IS NOT NULL AND hint_manufacturer = ?1)"
)
_OF_MAKER = (
    f"{_KEYLESS} WHERE status = 'key_missing' AND {_BY_MAKER}",
    f"{_FAILED} WHERE status = 'failed' AND {_WRONG_KEY} AND {_BY_MAKER}",
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
        else:
            found += _ids(connection, _OF_METER, (meter_id, manufacturer))
    return found


def _ids(connection: sqlite3.Connection, statements: Iterable[str], values: tuple[str | None, ...]) -> list[str]:
    return [
        row[0] for statement in statements for row in connection.execute(f"{statement} RETURNING ingest_id", values)
    ]
