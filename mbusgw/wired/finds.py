"""What scans have found on all buses, and where unfinished ones go on: here, and in the database where there is one."""
from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from functools import partial
from typing import Any

from mbusgw.config.models import DeviceConfig
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.found import FoundMeter
from mbusgw.runtime.clock import Clock
from mbusgw.store import found
from mbusgw.store.writer import Store


class Finds:
    """The finds of all buses. **any thread**

    Without a ``store`` they last as long as the process. What cannot be written is only not remembered
    over a restart, and the store has said why.
    """

    def __init__(self, clock: Clock, store: Store | None = None) -> None:
        self._clock = clock
        self._store = store
        self._lock = threading.Lock()
        self._meters: dict[str, FoundMeter] = {}
        self._places: dict[str, dict[str, Any]] = {}

    def restore(self, reader: sqlite3.Connection) -> None:
        """Takes over what an earlier run has left."""
        meters, places = found.load(reader), found.places(reader)
        with self._lock:
            self._meters = {meter.key: meter for meter in meters}
            self._places = places

    # -------------------------------------------------- finds
    def all(self) -> tuple[FoundMeter, ...]:
        """Every find, in the order in which they were made."""
        with self._lock:
            return tuple(self._meters.values())

    def add(self, meter: FoundMeter) -> None:
        """A find, or what is known better of one."""
        with self._lock:
            self._meters[meter.key] = meter
        if self._store is not None:
            self._store.submit(partial(_save, meter))

    def drop(self, key: str) -> None:
        """A find that was none, or is not there any more."""
        with self._lock:
            known = self._meters.pop(key, None)
        if known is not None and self._store is not None:
            self._store.submit(partial(_forget, key))

    def documents(self, devices: Iterable[DeviceConfig]) -> list[dict[str, Any]]:
        """For JSON; ``configured`` is the id of the device that a find is, or null."""
        known = list(devices)
        return [{**meter.document(), "configured": configured_as(meter, known)} for meter in self.all()]

    # -------------------------------------------------- places
    def place(self, bus: str) -> dict[str, Any] | None:
        """Where the unfinished scan of a bus goes on."""
        with self._lock:
            return self._places.get(bus)

    def keep_place(self, bus: str, place: dict[str, Any] | None) -> None:
        """Where the scan of a bus is; None when it has come to its end."""
        with self._lock:
            if place is None:
                self._places.pop(bus, None)
            else:
                self._places[bus] = place
        if self._store is not None:
            self._store.submit(partial(_keep, bus, place, self._clock))


def configured_as(meter: FoundMeter, devices: Iterable[DeviceConfig]) -> str | None:
    """The configured device that ``meter`` is, by its secondary or its primary address. Any thread.

    At a primary address where another meter is said to be (``devices[].meter``) it is not that one.
    """
    for device in devices:
        if device.bus != meter.bus:
            continue
        if isinstance(device.address, SecondaryAddress):
            if meter.identity is not None and device.address.matches(meter.identity):
                return device.id
        elif device.address == meter.primary and (
            device.meter is None or meter.identity is None or device.meter.matches(meter.identity)
        ):
            return device.id
    return None


def _save(meter: FoundMeter, connection: sqlite3.Connection) -> None:
    found.save(connection, meter)


def _forget(key: str, connection: sqlite3.Connection) -> None:
    found.forget(connection, key)


def _keep(bus: str, place: dict[str, Any] | None, clock: Clock, connection: sqlite3.Connection) -> None:
    if place is None:
        found.forget_place(connection, bus)
    else:
        found.save_place(connection, bus, place, clock.now())
