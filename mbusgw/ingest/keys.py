"""Which key opens a telegram."""
from __future__ import annotations

import sqlite3
from typing import Protocol

from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.store import keys


class Sender(Protocol):
    """Who a telegram says it is from, before it is decrypted."""

    @property
    def meter_id(self) -> str: ...

    @property
    def manufacturer(self) -> str | None: ...


class KeyRing:
    """Looks keys up: by the meter's number (and manufacturer), then by the gateway's hint. **any thread**"""

    def find(self, reader: sqlite3.Connection, telegram: ReceivedTelegram, sender: Sender | None) -> bytes | None:
        """The key for ``telegram`` from the key table, or None."""
        if sender is not None:
            key = keys.find(reader, sender.meter_id, sender.manufacturer)
            if key is not None:
                return key
        if telegram.hint_meter_id:
            return keys.find(reader, telegram.hint_meter_id, telegram.hint_manufacturer)
        return None
