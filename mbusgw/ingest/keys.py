"""Which keys may open a telegram, and which have done so before."""
from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence

from mbusgw.model.errors import KeyLocked
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.parsers.sender import Sender
from mbusgw.store.keyring import Keyring, OpenKey
from mbusgw.store.keys import Who
from mbusgw.store.vault import fingerprint


def names(telegram: ReceivedTelegram, sender: Sender | None) -> Sequence[Who]:
    """Under which names the meter's key may be stored, best first: its own, then those of the gateway's hint."""
    found: list[Who] = []
    if sender is not None:
        found.append((sender.meter_id, sender.manufacturer))
    if telegram.hint_meter_id:
        found.append((telegram.hint_meter_id, telegram.hint_manufacturer))
    return found


def candidates(
    reader: sqlite3.Connection, telegram: ReceivedTelegram, sender: Sender | None, keyring: Keyring
) -> Iterator[OpenKey]:
    """The keys to try, one after the other: that of the request, then the stored one where it is another.

    Raises ``KeyLocked`` for a key that is there and cannot be opened.
    """
    own = OpenKey(telegram.key, fingerprint(telegram.key)) if telegram.key is not None else None
    if own is not None:
        yield own
    stored = None
    try:
        stored = keyring.find(reader, names(telegram, sender))
    except KeyLocked:
        if sender is None or sender.encrypted:  # else it can be read without one
            raise
    if stored is not None and (own is None or stored.fingerprint != own.fingerprint):
        yield stored
    elif telegram.key_locked:
        raise KeyLocked(
            "the key that came with the telegram is encrypted with a master key that is not here",
            hint="give mbusgw the master key of then",
        )


class ProvenKeys:
    """Which key has opened telegrams of which meter in this run. **any thread**

    It tells a damaged telegram, on which a right key fails, from a wrong key.
    """

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._proven: dict[str, str] = {}

    def opened(self, sender: Sender | None, key: OpenKey) -> None:
        """``key`` has opened an encrypted telegram of ``sender``."""
        if sender is None or not sender.encrypted:
            return
        who = _who(sender)
        if self._proven.get(who) == key.fingerprint:  # the usual case, without the lock
            return
        with self._lock:
            if len(self._proven) >= self._most:
                self._proven.clear()
            self._proven[who] = key.fingerprint

    def has_opened(self, sender: Sender | None, fingerprint_: str | None) -> bool:
        """Whether that key has opened telegrams of ``sender`` before."""
        return sender is not None and fingerprint_ is not None and self._proven.get(_who(sender)) == fingerprint_


def _who(sender: Sender) -> str:
    return f"{sender.manufacturer}_{sender.meter_id}"
