"""Which gateways heard a telegram: they hand it in within seconds of each other, before or after it is parsed."""
from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

from mbusgw.model.reception import Reception
from mbusgw.model.telegram import ReceivedTelegram

#: Telegrams whose further receptions are still told to the meter they are from. All are in the database anyway.
KEPT = 5000
#: Receptions of one telegram that are remembered until it is parsed: a gateway may repeat itself without end.
FURTHER_MAX = 64


class Heard(Protocol):
    """Is told of a further reception of a device's last telegram; never blocks."""

    def __call__(self, device_id: str, reception: Reception, /) -> None: ...


@dataclass(slots=True)
class _Telegram:
    further: list[Reception] = field(default_factory=list)
    device_id: str | None = None


class Receptions:
    """Brings further receptions of a telegram and the device that it is from together. **any thread**

    ``heard`` is told those that come after the telegram was parsed; those before it are asked for by ``of``.
    """

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._lock = threading.Lock()
        self._telegrams: OrderedDict[str, _Telegram] = OrderedDict()

    def again(self, telegram: ReceivedTelegram, original_id: str) -> None:
        """``telegram`` is the one that was accepted as ``original_id``, by another gateway or the same."""
        reception = reception_of(telegram)
        with self._lock:
            known = self._known(original_id)
            if len(known.further) < FURTHER_MAX:
                known.further.append(reception)
            device_id = known.device_id
        if device_id is not None:
            self._heard(device_id, reception)

    def of(self, telegram: ReceivedTelegram, device_id: str) -> tuple[Reception, ...]:
        """All receptions so far of a telegram that was parsed; its own first."""
        with self._lock:
            known = self._known(telegram.ingest_id)
            known.device_id = device_id
            return (reception_of(telegram), *known.further)

    def _known(self, ingest_id: str) -> _Telegram:
        known = self._telegrams.setdefault(ingest_id, _Telegram())
        self._telegrams.move_to_end(ingest_id)
        while len(self._telegrams) > KEPT:
            self._telegrams.popitem(last=False)
        return known


def reception_of(telegram: ReceivedTelegram) -> Reception:
    """One gateway's hearing of ``telegram``."""
    return Reception(telegram.gateway_id, telegram.rssi_dbm, telegram.rx_time)
