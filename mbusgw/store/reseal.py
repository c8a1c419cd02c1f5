"""Another master key for all that is sealed: one transaction, all or nothing."""
from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from mbusgw.model.errors import KeyLocked
from mbusgw.store import keys
from mbusgw.store.vault import Vault, is_sealed


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many keys are kept otherwise now, and how many were so already. **immutable**"""

    changed: int
    unchanged: int


def reseal(connection: sqlite3.Connection, old: Vault, new: Vault) -> Resealed:
    """Opens every key, those that came with waiting telegrams too, with ``old`` and seals it with ``new``.

    What ``new`` opens already stays: a second call, after a crash that came behind the commit, finds nothing to do.
    Raises ``KeyLocked`` for the first key that neither opens; then nothing may be committed.
    """
    rows = [
        (stored.text, stored.about, ("meter_keys", "meter_id", stored.row)) for stored in keys.everything(connection)
    ]
    rows += [
        (text, ingest_id, ("telegrams", "ingest_id", ingest_id))
        for ingest_id, text in connection.execute("SELECT ingest_id, key_hex FROM telegrams WHERE key_hex IS NOT NULL")
    ]
    changed = 0
    for text, about, (table, column, row) in rows:
        if _is_kept_by(new, text, about):
            continue
        sealed = new.seal(_opened(old, text, about), about)
        connection.execute(f"UPDATE {table} SET key_hex = ? WHERE {column} = ?", (sealed, row))
        changed += 1
    return Resealed(changed, len(rows) - changed)


def _is_kept_by(vault: Vault, text: str, about: str) -> bool:
    return vault.opens(text, about) and vault.sealing == is_sealed(text)


def _opened(old: Vault, text: str, about: str) -> bytes:
    try:
        return old.open(text, about)
    except KeyLocked as error:
        hint = "--old names the file with the master key until now"
        raise KeyLocked(f"nothing was changed: {error}", hint=hint) from None
