"""The meters' keys as the rest of the house sees them: looked up, and changed together with what waits for them."""
from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from typing import Any

from mbusgw.model.errors import KeyLocked, RequestError, StoreBusy
from mbusgw.model.ports import Write
from mbusgw.model.wording import counted
from mbusgw.runtime.clock import Clock
from mbusgw.store import keys, retries
from mbusgw.store.keys import ANY, MeterKey, StoredKey, Who, name_of
from mbusgw.store.vault import Vault
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

COMMIT_TIMEOUT_S = 30.0
#: More keys at once are only counted in the log.
SAID_ONE_BY_ONE = 10


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A key to decrypt with, and its fingerprint. **immutable**"""

    key: bytes = field(repr=False)
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change of keys did: how many are new or other, and how many telegrams it sets going. **immutable**"""

    keys: int
    retried: int


class Keyring:
    """The meters' keys. **any thread**

    ``ring`` is told the telegrams that a change of keys sets going again. ``locked``: how many keys are
    encrypted with another master key than the one in ``vault``.
    """

    def __init__(self, store: Store, vault: Vault, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.ring: Callable[[Sequence[str]], None] = lambda _ids: None
        self.vault = vault
        self.locked = 0

    # -------------------------------------------------- the main thread, before the start
    def prepare(self, configured: Sequence[MeterKey]) -> None:
        """Takes over the keys of the configuration, seals what is plain if there is a master key, and says how
        keys are kept. Between ``open`` and ``start`` of the store. Raises ``StoreError``."""
        sealed, self.locked, waiting = self._store.prepare(lambda connection: self._take_over(connection, configured))
        if sealed:
            self._store.scrub()
            plain = counted(sealed, "meter key that was plain is", "meter keys that were plain are")
            log.info("%s encrypted with master key %s now", plain, self.vault.name)
        if waiting:
            log.info(
                "%s parsed now",
                counted(waiting, "telegram that waited for a key is", "telegrams that waited for a key are"),
            )
        if self.vault.trouble:
            log.error("the master key cannot be used, so that no key can be stored: %s", self.vault.trouble)
        elif not self.vault.sealing:
            log.info("meter keys are kept in plain text: there is no master key (storage.master_key_file)")
        if self.locked:
            log.error(
                "%s cannot be opened with the master key that is here (%s); their telegrams wait",
                counted(self.locked, "meter key"), self.vault.name or "none",
            )

    def look(self) -> None:
        """Counts the keys that cannot be opened, where nobody has called ``prepare``. Raises ``StoreError``."""
        self.locked = sum(not self.vault.opens(stored.text, stored.about) for stored in self.entries())

    def _take_over(self, connection: sqlite3.Connection, configured: Sequence[MeterKey]) -> tuple[int, int, int]:
        # Without a usable master key they are left out; what is encrypted for them waits.
        new = keys.put(connection, configured if not self.vault.trouble else (), self._clock.now(), self.vault)
        waiting = retries.keys_changed(connection, [key.who for key in new])
        return *keys.protect(connection, self.vault), len(waiting)

    # -------------------------------------------------- looking up
    def find(self, reader: sqlite3.Connection, wanted: Sequence[Who]) -> OpenKey | None:
        """The most specific key for a meter that is called ``wanted``. Raises ``KeyLocked``."""
        stored = keys.find(reader, wanted)
        if stored is None:
            return None
        return OpenKey(self.vault.open(stored.text, stored.about), stored.fingerprint)

    @staticmethod
    def unchanged(wanted: Sequence[Who], known: Collection[str | None]) -> Write:
        """Fails the unit (retryable) when by now a key is found whose fingerprint is not in ``known`` (None: no key).

        Else a telegram that is given up for want of a key, just while the key arrives, would never be parsed.
        """

        def write(connection: sqlite3.Connection) -> None:
            stored = keys.find(connection, wanted)
            if (stored.fingerprint if stored else None) not in known:
                raise StoreBusy("the meter's key has changed meanwhile")

        return write

    def entries(self) -> list[StoredKey]:
        """Every key, without the key. Raises ``StoreError``."""
        reader = self._store.reader()
        try:
            return list(keys.everything(reader))
        finally:
            reader.close()

    # -------------------------------------------------- changing
    def set(self, changed: Sequence[MeterKey]) -> Changed:
        """Stores keys; returns when that is on disk. All or none.

        Raises ``KeyLocked`` when there are keys that another master key has sealed: two master keys in one table
        would be worse. Raises ``StoreError``.
        """
        if self.locked or self.vault.trouble:
            raise KeyLocked(
                self.vault.trouble or f"{counted(self.locked, 'key is', 'keys are')} encrypted with another master key",
                hint="give mbusgw the right master key first",
            )

        def write(connection: sqlite3.Connection) -> tuple[list[MeterKey], list[str]]:
            new = keys.put(connection, changed, self._clock.now(), self.vault)
            return new, retries.keys_changed(connection, [key.who for key in new])

        new, ids = self._submit(write)
        if len(new) <= SAID_ONE_BY_ONE:
            for key in new:
                log.info("the key of meter %s is set", name_of(key.who))
        else:
            log.info("the keys of %d meters are set", len(new))
        self.ring(ids)
        return Changed(len(new), len(ids))

    def remove(self, meter_id: str, manufacturer: str | None) -> StoredKey:
        """Forgets a key. Without ``manufacturer``: the one without, or the only one of that number.

        Raises ``RequestError`` 404 where there is none, 409 where it could be several; ``StoreError``.
        """

        def write(connection: sqlite3.Connection) -> StoredKey:
            stored = _one(keys.of_meter(connection, meter_id), meter_id, manufacturer)
            keys.remove(connection, stored)
            return stored

        stored: StoredKey = self._submit(write)
        self.locked -= not self.vault.opens(stored.text, stored.about)
        log.info("the key of meter %s is removed", stored.about)
        return stored

    def _submit(self, write: Write) -> Any:
        try:
            return self._store.submit(write).result(COMMIT_TIMEOUT_S)[0]
        except FutureTimeout:
            raise StoreBusy("the database does not answer") from None


def _one(stored: Sequence[StoredKey], meter_id: str, manufacturer: str | None) -> StoredKey:
    exact = [key for key in stored if key.manufacturer == manufacturer]
    if exact:
        return exact[0]
    if manufacturer is None and len(stored) == 1 and meter_id != ANY:
        return stored[0]
    if manufacturer is None and stored:
        makers = ", ".join(str(key.manufacturer) for key in stored)
        raise RequestError(409, "ambiguous", f"say of which manufacturer: {makers}", field="manufacturer")
    raise RequestError(404, "not_found", f"no key is stored for meter {name_of((meter_id, manufacturer))}")
