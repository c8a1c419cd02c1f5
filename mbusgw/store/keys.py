"""The meters' AES keys in table ``meter_keys``. A key is never shown; its fingerprint names it.

``meter_id`` is the primary key, and two makers may use one number: the row ``12345678`` is the key without a
manufacturer or, where there is none, the first one; further ones are ``12345678:LUG``. The default of a
manufacturer is ``*:LUG``.
"""
from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mbusgw.runtime.clock import iso
from mbusgw.store.vault import PLAIN, Vault, fingerprint, is_sealed

#: In place of a number: every meter of a manufacturer.
ANY = "*"
_COLUMNS = "meter_id, manufacturer, key_hex, updated_at, fingerprint"

#: A meter by number and manufacturer, as far as they are known.
Who = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class MeterKey:
    """The key of one meter. ``manufacturer`` None: whoever carries the number. **immutable**

    ``meter_id`` is ``*`` for all meters of a manufacturer that have no key of their own.
    """

    meter_id: str
    manufacturer: str | None
    key: bytes = field(repr=False)

    @property
    def who(self) -> Who:
        """Whose it is, in upper case."""
        return self.meter_id.upper(), (self.manufacturer or "").upper() or None


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A row of the table. ``text`` is what only the vault understands. **immutable**"""

    row: str
    meter_id: str
    manufacturer: str | None
    fingerprint: str
    updated_at: str
    text: str = field(repr=False)

    @property
    def about(self) -> str:
        """Whose key it is; a sealed key opens under this name only."""
        return name_of((self.meter_id, self.manufacturer))

    @property
    def sealed(self) -> bool:
        """Whether it is encrypted."""
        return is_sealed(self.text)


def name_of(who: Who) -> str:
    """``12345678``, or ``12345678 ELS``."""
    return " ".join(part for part in who if part)


# ------------------------------------------------------------------ looking up
def find(connection: sqlite3.Connection, wanted: Sequence[Who]) -> StoredKey | None:
    """The most specific key for a meter that is called ``wanted``, best name first.

    Number and manufacturer, else the number alone; only when no name has one, the manufacturer's default.
    """
    for number, maker in wanted:
        exact = _of_number(connection, number.upper(), maker.upper() if maker else None)
        if exact is not None:
            return exact
    for _, maker in wanted:
        default = get(connection, ANY, maker.upper()) if maker else None
        if default is not None:
            return default
    return None


def get(connection: sqlite3.Connection, meter_id: str, manufacturer: str | None) -> StoredKey | None:
    """The key that is stored for exactly that."""
    rows = of_meter(connection, meter_id)
    return next((row for row in rows if row.manufacturer == manufacturer), None)


def of_meter(connection: sqlite3.Connection, meter_id: str) -> list[StoredKey]:
    """All keys of one number, of whichever manufacturer."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM meter_keys WHERE meter_id = ?1 OR meter_id > ?1 || ':' AND meter_id < ?1 || ';'",
        (meter_id,),
    )
    return [_stored(row) for row in rows]


def everything(connection: sqlite3.Connection) -> Iterator[StoredKey]:
    """Every key, by meter."""
    return map(_stored, connection.execute(f"SELECT {_COLUMNS} FROM meter_keys ORDER BY meter_id"))


def _of_number(connection: sqlite3.Connection, number: str, maker: str | None) -> StoredKey | None:
    found = of_meter(connection, number)
    if maker is None:  # nobody says which: the row that carries the plain number
        return found[0] if found else None
    own = next((row for row in found if row.manufacturer == maker), None)
    return own or next((row for row in found if row.manufacturer is None), None)


def _stored(row: Sequence[str]) -> StoredKey:
    meter_id, manufacturer, text, updated_at, mark = row
    if not mark and PLAIN.opens(text, meter_id):  # put there by others
        mark = fingerprint(bytes.fromhex(text))
    return StoredKey(meter_id, meter_id.partition(":")[0], manufacturer or None, mark, updated_at, text)


# ------------------------------------------------------------------ changing
def put(
    connection: sqlite3.Connection, keys: Iterable[MeterKey], now: datetime, vault: Vault = PLAIN
) -> list[MeterKey]:
    """Stores keys; returns those that are new or other than before. Raises ``KeyLocked``."""
    return [key for key in keys if _put(connection, key, iso(now), vault)]


def _put(connection: sqlite3.Connection, key: MeterKey, now: str, vault: Vault) -> bool:
    meter_id, manufacturer = key.who
    mark = fingerprint(key.key)
    known = get(connection, meter_id, manufacturer)
    if known is not None and known.fingerprint == mark and vault.opens(known.text, known.about):
        return False
    text = vault.seal(key.key, name_of(key.who))
    row = known.row if known else _place(connection, meter_id, manufacturer)
    connection.execute(
        f"INSERT OR REPLACE INTO meter_keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", (row, manufacturer, text, now, mark)
    )
    return True


def _place(connection: sqlite3.Connection, meter_id: str, manufacturer: str | None) -> str:
    """The primary key of a new row."""
    if meter_id == ANY:
        return f"{ANY}:{manufacturer}"
    taken = connection.execute("SELECT manufacturer FROM meter_keys WHERE meter_id = ?", (meter_id,)).fetchone()
    if taken is None:
        return meter_id
    if manufacturer is not None:
        return f"{meter_id}:{manufacturer}"
    connection.execute(
        "UPDATE meter_keys SET meter_id = ? WHERE meter_id = ?", (f"{meter_id}:{taken[0]}", meter_id)
    )
    return meter_id


def remove(connection: sqlite3.Connection, stored: StoredKey) -> None:
    """Forgets a key."""
    connection.execute("DELETE FROM meter_keys WHERE meter_id = ?", (stored.row,))


def protect(connection: sqlite3.Connection, vault: Vault) -> tuple[int, int]:
    """Seals what is plain, where the vault can; says how many it sealed and how many rows it cannot open.

    Also notes fingerprints that are missing.
    """
    sealed = locked = 0
    for stored in list(everything(connection)):
        text = stored.text
        if not vault.opens(text, stored.about):
            locked += 1
        elif not stored.sealed and vault.sealing and not vault.trouble:
            text = vault.seal(vault.open(text, stored.about), stored.about)
            sealed += 1
        connection.execute(
            "UPDATE meter_keys SET key_hex = ?1, fingerprint = ?2 WHERE meter_id = ?3"
            " AND (key_hex != ?1 OR fingerprint != ?2)",
            (text, stored.fingerprint, stored.row),
        )
    return sealed, locked
