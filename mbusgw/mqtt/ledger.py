"""What Home Assistant was told of which device, over restarts too."""
from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

from mbusgw.mqtt.announcement import Announcement
from mbusgw.mqtt.removal import with_leaving
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import Clock
from mbusgw.store import announced, outbox
from mbusgw.store.outbox import Message
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

#: So many documents may be on their way to the broker at a time. They are large, and news waits behind them.
ON_THEIR_WAY = 10


class Unfinished(NamedTuple):
    """Entities were named by their platform alone; when that is sent, ``topic`` is announced without them."""

    topic: str
    device_id: str


class _Told(NamedTuple):
    """What is remembered of an announcement: a document is some ten kilobytes, and there may be 50,000 of them.

    ``meter`` is maker and number, which tell two meters apart, and not one that names now this medium, now that
    (heating and cooling): its entities must not come and go with every telegram.
    """

    device_id: str
    digest: bytes
    meter: str


class Ledger:
    """Owns the table that remembers what was announced; what is written there goes into the outbox with it.

    ``half_told`` gets what is to be announced once more; it is called by the store's thread. ``owes``: whether the
    broker has yet to acknowledge a row of the outbox. **own thread**
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        half_told: Callable[[Unfinished], object],
        owes: Callable[[int], bool] = lambda row_id: True,
    ) -> None:
        self._store = store
        self._clock = clock
        self._half_told = half_told
        self._owes = owes
        self._on_its_way: set[str] = set()
        self._unwritten: set[str] = set()  # of these, not yet in the outbox
        self._told: dict[str, _Told] = {}

    def load(self) -> None:
        """Reads what was told by an earlier run."""
        with closing(self._store.reader()) as reader:
            self._told = {topic: _told(device_id, payload) for topic, device_id, payload in announced.rows(reader)}

    # -------------------------------------------------- what was told
    def holders(self) -> dict[str, str]:
        """Topic → the device that is announced there; ``""``: the gateway."""
        return {topic: told.device_id for topic, told in self._told.items()}

    def holder(self, topic: str) -> str | None:
        """The device that is announced there."""
        told = self._told.get(topic)
        return told.device_id if told is not None else None

    def knows(self, announcement: Announcement) -> bool:
        """It was told last of all that was told there."""
        return self._told.get(announcement.topic) == _told(announcement.device_id, announcement.payload)

    def replaced_by(self, announcement: Announcement) -> list[str]:
        """Where another meter was announced that had the name of one that is new."""
        if announcement.topic in self._told:
            return []
        device_id, _, meter = _told(announcement.device_id, announcement.payload)
        return [topic for topic, told in self._told.items() if told.device_id == device_id and told.meter != meter]

    def sent(self, topics: Iterable[str]) -> list[str]:
        """Those of ``topics`` whose last announcement does not wait for the broker any more."""
        with closing(self._store.reader()) as reader:
            return [topic for topic in topics if not announced.waits(reader, topic)]

    def has_room(self) -> bool:
        """The broker has so much of what was told that more may follow."""
        if len(self._on_its_way) >= ON_THEIR_WAY:
            with closing(self._store.reader()) as reader:
                self._on_its_way = {topic for topic in self._on_its_way if self._is_owed(reader, topic)}
        return len(self._on_its_way) < ON_THEIR_WAY

    def _is_owed(self, reader: sqlite3.Connection, topic: str) -> bool:
        if topic in self._unwritten:
            return True
        row_id = announced.row_id(reader, topic)
        return row_id is not None and self._owes(row_id)

    # -------------------------------------------------- telling
    def tell(self, announcement: Announcement) -> bool:
        """Whether something else was told of that device before."""
        now, topic = self._clock.now(), announcement.topic
        device_id, payload = announcement.device_id, announcement.payload

        def write(connection: sqlite3.Connection) -> bool:
            previous, waits = announced.payload(connection, topic), announced.waits(connection, topic)
            sent = with_leaving(payload, previous, previous_waits=waits)
            if waits and sent == previous:
                return sent != payload  # it keeps its place, before the values that wait behind it
            announced.remember(connection, topic, device_id, sent, now)
            outbox.put(connection, [Message(topic, sent, retain=True)], now)
            return sent != payload

        self._on_its_way.add(topic)
        self._unwritten.add(topic)
        self._store.submit(write).add_done_callback(partial(self._is_written, Unfinished(topic, device_id)))
        told = _told(device_id, payload)
        before = self._told.get(topic, told)
        self._told[topic] = told
        return bool(device_id) and before != told

    def _is_written(self, unfinished: Unfinished, future: Future[list[Any]]) -> None:
        """The store's thread."""
        self._unwritten.discard(unfinished.topic)
        if future.exception() is None and future.result()[0]:
            self._half_told(unfinished)

    def withdraw(self, topic: str) -> None:
        """Takes back what was told there: an empty retained message removes the device."""
        now = self._clock.now()

        def write(connection: sqlite3.Connection) -> None:
            announced.forget(connection, topic)
            outbox.put(connection, [Message(topic, "", retain=True)], now)

        log.info("%s is gone and taken back from Home Assistant", self._told[topic].device_id or topic)
        self._store.submit(write)
        del self._told[topic]


def _told(device_id: str, payload: str) -> _Told:
    device = exactjson.loads(payload)["device"]
    meter = f"{device.get('manufacturer')} {device.get('serial_number')}"
    return _Told(device_id, hashlib.blake2b(payload.encode(), digest_size=16).digest(), meter)
