"""Which key opens a telegram."""
from __future__ import annotations

import sqlite3

from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.parsers.sender import Sender
from mbusgw.store import keys


def find_key(reader: sqlite3.Connection, telegram: ReceivedTelegram, sender: Sender | None) -> bytes | None:
    """The key of ``telegram``: its own, else by the meter's number and manufacturer, else by the gateway's hint."""
    if telegram.key is not None:
        return telegram.key
    if sender is not None:
        key = keys.find(reader, sender.meter_id, sender.manufacturer)
        if key is not None:
            return key
    if telegram.hint_meter_id:
        return keys.find(reader, telegram.hint_meter_id, telegram.hint_manufacturer)
    return None
