"""kill -9 in the middle: what was acknowledged is there afterwards."""
from __future__ import annotations

import http.client
import sqlite3
import threading
from pathlib import Path

import pytest

from mbusgw.model.meter import MeterIdentity
from mbusgw.simulator.radio import RadioMeter, Security, telegram
from tests.daemon import Daemon
from tests.mosquitto import Mosquitto, subscribed
from tests.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]

ROUNDS = 4
PER_ROUND = 60


def numbered_telegram(number: int) -> str:
    """A telegram that no other is like: a water meter whose volume is ``number`` litres."""
    identity = MeterIdentity(f"{number:08d}", "SIM", 1, 7)
    records = b"\x04\x13" + number.to_bytes(4, "little")
    return telegram(RadioMeter(identity, records=lambda: records, security=Security.NONE), number % 256).hex()


def test_every_acknowledged_telegram_survives_kill_9_and_a_broker_that_comes_and_goes(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    daemon = Daemon(tmp_path, "", broker=mosquitto.url)
    promised: dict[str, int] = {}
    number = 0
    with subscribed(mosquitto.port, "oms/#") as subscriber:
        for turn in range(ROUNDS):
            daemon.start()
            killer = threading.Thread(target=kill_after, args=(daemon, promised, len(promised) + PER_ROUND // 4))
            killer.start()
            for _ in range(PER_ROUND):
                number += 1
                try:
                    status, answer = daemon.post({"gateway_id": "gw1", "raw_hex": numbered_telegram(number)})
                except (OSError, http.client.HTTPException):
                    break
                assert status == 202
                promised[answer["ingest_id"]] = number
            killer.join()
            if turn % 2:
                mosquitto.stop()
                mosquitto.start()
        daemon.start()
        wait_until(lambda: not unfinished(daemon, promised), what=lambda: str(unfinished(daemon, promised)))
        wait_until(lambda: readings(subscriber.messages) >= set(promised.values()))
        assert daemon.stop() == 0
    assert len(promised) >= ROUNDS * PER_ROUND // 4


def kill_after(daemon: Daemon, promised: dict[str, int], count: int) -> None:
    """kill -9 in the middle, once ``count`` telegrams are promised."""
    wait_until(lambda: len(promised) >= count)
    daemon.kill()


def readings(messages: list[tuple[str, str, bool]]) -> set[int]:
    return {int(topic.split("/")[5]) for topic, _, _ in messages if topic.endswith("/reading")}


def unfinished(daemon: Daemon, promised: dict[str, int]) -> list[tuple[str, str | None]]:
    connection = sqlite3.connect(daemon.database)
    try:
        found = dict(connection.execute("SELECT ingest_id, status FROM telegrams"))
    finally:
        connection.close()
    return [(ingest_id, found.get(ingest_id)) for ingest_id in promised if found.get(ingest_id) != "published"]
