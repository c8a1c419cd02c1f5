"""A daemon that has done everything once: read wired meters, taken a telegram it can open and one it cannot."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.catalogue import build_meters
from mbusgw.simulator.line import PtyLine
from mbusgw.simulator.radio import Security, telegram
from mbusgw.simulator.segment import Segment
from tests.daemon import Daemon, running
from tests.mosquitto import Mosquitto, Subscriber, subscribed
from tests.wait import wait_until
from tests.wmbus.samples import KEY, OMS_GAS, meter

CONFIG = """
keys: [{{meter_id: '12345678', manufacturer: ELS, key: {key}}}]
buses: [{{name: main, port: '{port}', baudrate: 9600, max_retries: 0, scan_interval: 1, device_offline_timeout: 3}}]
devices:
  - {{id: meter_1, bus: main, address: 1}}
  - {{id: silent, bus: main, address: 200}}
"""


@dataclass(frozen=True)
class World:
    """The daemon, its broker, what a subscriber hears, and the ids of the two telegrams."""

    daemon: Daemon
    broker: Mosquitto
    subscriber: Subscriber
    opened: str
    locked: str

    def topics(self) -> set[str]:
        return {topic for topic, _, _ in list(self.subscriber.messages)}

    def status(self, ingest_id: str) -> str:
        with closing(sqlite3.connect(self.daemon.database)) as connection:
            row = connection.execute("SELECT status FROM telegrams WHERE ingest_id = ?", (ingest_id,)).fetchone()
        return str(row[0])


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with ExitStack() as stack:
        broker = Mosquitto(_below(folder, "mosquitto"))
        broker.start()
        stack.callback(broker.stop)
        clock = SystemClock()
        segment = Segment(PtyLine(folder / "bus"), build_meters(1, clock=clock), clock=clock, baudrate=9600)
        segment.start()
        stack.callback(segment.join, 5)
        stack.callback(segment.stop)
        subscriber = stack.enter_context(subscribed(broker.port, "#"))
        daemon = stack.enter_context(
            running(folder, CONFIG.format(key=KEY.hex().upper(), port=segment.port), broker=broker.url)
        )
        yield _busy(daemon, broker, subscriber)


def _busy(daemon: Daemon, broker: Mosquitto, subscriber: Subscriber) -> World:
    """Returns when everything has happened once."""
    keyless = telegram(meter(Security.MODE_5), 1)
    ids = [daemon.post({"gateway_id": "gw1", "raw_hex": raw.hex()})[1]["ingest_id"] for raw in (OMS_GAS, keyless)]
    world = World(daemon, broker, subscriber, *ids)
    wait_until(lambda: world.status(world.opened) == "published")
    wait_until(lambda: subscriber.last("mbus/meter_1/attributes"))
    wait_until(lambda: subscriber.last("mbus/silent/availability"))
    wait_until(lambda: daemon.get("/state")[1]["devices"]["silent"]["last_error"])
    wait_until(lambda: f"oms/v1/gw/gw1/errors/{world.locked}" in world.topics())
    return world


def _below(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir()
    return path
