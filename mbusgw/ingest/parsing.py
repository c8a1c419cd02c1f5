"""One radio telegram to a parser and back as a reading: with which keys, and whether its gateway counts."""
from __future__ import annotations

import sqlite3

from mbusgw.ingest.keys import ProvenKeys, candidates
from mbusgw.ingest.readings import to_reading
from mbusgw.ingest.receptions import Receptions
from mbusgw.model.errors import GatewayExcluded, KeyMissing, KeyWrong
from mbusgw.model.guests import GuestList
from mbusgw.model.reading import Reading
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.parsers.base import ParsedTelegram, ParserBackend
from mbusgw.parsers.sender import Sender
from mbusgw.store.keyring import Keyring, OpenKey

_OPENED_BEFORE = (
    "this key has opened telegrams of this meter before: this one was damaged, or the meter was given another key since"
)

#: What the back end said, and the reading in it, if it names a meter.
Parsed = tuple[ParsedTelegram, Reading | None]


class TelegramParser:
    """Asks the back end, with each key that may be the meter's, until one opens the telegram. **any thread**

    ``strict_keys``: what is encrypted is not shown to the back end without one.
    """

    def __init__(
        self,
        backend: ParserBackend,
        keyring: Keyring,
        *,
        guests: GuestList,
        receptions: Receptions,
        strict_keys: bool,
    ) -> None:
        self._backend = backend
        self._keyring = keyring
        self._guests = guests
        self._receptions = receptions
        self._strict_keys = strict_keys
        self._proven = ProvenKeys()

    def parse(self, view: sqlite3.Connection, telegram: ReceivedTelegram, sender: Sender | None) -> Parsed:
        """``sender`` is who it says to be from, unopened. Raises ``GatewayExcluded``, ``KeyMissing``, ``KeyWrong``,
        ``KeyLocked``, and what the back end raises: ``DecodeError``, ``ParserError``."""
        if sender is not None:  # before a key is asked for: it is none of ours perhaps
            self._check_gateway(telegram, sender.natural_id)
        wrong: KeyWrong | None = None
        for key in candidates(view, telegram, sender, self._keyring):
            try:
                parsed = self._parse_with(telegram, key)
            except KeyWrong as error:
                error.fingerprint = key.fingerprint
                if self._proven.has_opened(sender, key.fingerprint):
                    error.hint = _OPENED_BEFORE
                wrong = error
            else:
                self._proven.opened(sender, key)
                return parsed
        if wrong is not None:
            raise wrong
        if self._strict_keys and sender is not None and sender.encrypted:
            raise KeyMissing(
                f"no key for meter {sender.meter_id}",
                hint="set it with mbusgw keys set, or under keys: in the configuration",
            )
        return self._parse_with(telegram, None)

    def _parse_with(self, telegram: ReceivedTelegram, key: OpenKey | None) -> Parsed:
        parsed = self._backend.parse(telegram, key.key if key else None)
        meter = parsed.decoded.header.meter if parsed.decoded else None
        if meter is not None:  # some only say who they are in what was encrypted
            self._check_gateway(telegram, meter.device_id)
        return parsed, to_reading(telegram, parsed, self._receptions, self._guests)

    def _check_gateway(self, telegram: ReceivedTelegram, natural_id: str) -> None:
        gateways = self._guests.gateways(natural_id)
        if gateways is not None and telegram.gateway_id not in gateways:
            raise GatewayExcluded(natural_id, gateways)
