"""Gateways go on sending while everything else fails: what was acknowledged ends in one state, and is on the broker."""
from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mbusgw.model.meter import MeterIdentity
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.lobaro import StandInLobaro
from mbusgw.simulator.radio import RadioMeter, Security, telegram
from tests.daemon import Daemon
from tests.fakes.disk import SmallDisk, small_disk
from tests.fakes.workers import started
from tests.mosquitto import Mosquitto, Subscriber, subscribed
from tests.wait import PATIENCE_S, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]

GATEWAYS = ("gw1", "gw2")
KNOWN, UNKNOWN = bytes(range(16)), bytes(range(16, 32))
ENCRYPTING = [f"2000000{n}" for n in range(5)]
FINAL = {"published", "failed", "key_missing", "duplicate"}
CONFIG = """
parser: {{backend: lobaro_then_local, n_workers: 3}}
lobaro: {{url: '{url}', token: any, rate: 100, timeout: 0.3, connect_timeout: 0.3, tries: 1}}
keys: [{keys}]
"""


class Fleet:
    """Two gateways that send until they are told to stop, and again what was not acknowledged.

    ``promised``: what kind of telegram each acknowledged one is. ``statuses``: how often which answer came.
    """

    def __init__(self, port: int) -> None:
        self.promised: dict[str, str] = {}
        self.statuses: Counter[int | str] = Counter()
        self._port = port
        self._numbers = itertools.count(1)
        self._lately: list[tuple[str, str]] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(gateway,)) for gateway in GATEWAYS]

    def __enter__(self) -> "Fleet":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count: int) -> None:
        """Until so many more are acknowledged."""
        wanted = len(self.promised) + count
        wait_until(lambda: len(self.promised) >= wanted, what=lambda: str(self.statuses))

    def wait_for_answer(self, status: int) -> None:
        """Until this answer came once more."""
        before = self.statuses[status]
        wait_until(lambda: self.statuses[status] > before, what=lambda: str(self.statuses))

    # -------------------------------------------------- own threads
    def _send(self, gateway: str) -> None:
        rng = random.Random(gateway)
        keeps_alive = gateway == "gw1"
        connection = self._connection()
        while not self._stop.is_set():
            items = self._next(rng)
            while not self._stop.is_set():
                try:
                    answers = self._post(connection, gateway, items)
                except (OSError, http.client.HTTPException) as error:
                    self.statuses[type(error).__name__] += 1
                    answers = None
                if answers is None or not keeps_alive:
                    connection.close()
                if answers is not None:
                    self.promised |= {answer["ingest_id"]: kind for answer, (kind, _) in zip(answers, items)}
                    self._lately = [*self._lately, *items][-20:]
                    break
                self._stop.wait(0.05)
            self._stop.wait(0.01)
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)

    def _post(
        self, connection: http.client.HTTPConnection, gateway: str, items: list[tuple[str, str]]
    ) -> list[dict[str, Any]] | None:
        documents = [{"gateway_id": gateway, "raw_hex": raw_hex} for _, raw_hex in items]
        body = json.dumps(documents if len(documents) > 1 else documents[0])
        headers = {"Authorization": f"Bearer key-{gateway}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/telegrams", body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        self.statuses[response.status] += 1
        if response.status != 202:
            assert response.status == 503 and response.headers["Retry-After"], answer
            return None
        return answer if isinstance(answer, list) else [answer]

    def _next(self, rng: random.Random) -> list[tuple[str, str]]:
        if self._lately and rng.random() < 0.15:  # again, and perhaps what the other gateway has sent
            return [rng.choice(self._lately)]
        return [self._new(rng) for _ in range(rng.choice((1, 1, 1, 4)))]

    def _new(self, rng: random.Random) -> tuple[str, str]:
        number = next(self._numbers)
        kind = rng.choice(("plain", "plain", "encrypted", "encrypted", "keyless", "noise"))
        meter_id = {"encrypted": rng.choice(ENCRYPTING), "keyless": "30000000"}.get(kind, f"{number % 50:08d}")
        key = {"encrypted": KNOWN, "keyless": UNKNOWN}.get(kind)
        records = b"\x04\x13" + number.to_bytes(4, "little") if kind != "noise" else b"\x01\x13"
        security = Security.MODE_5 if key else Security.NONE
        meter = RadioMeter(MeterIdentity(meter_id, "SIM", 1, 7), records=lambda: records, security=security, key=key)
        raw = telegram(meter, number % 256)
        if kind == "noise":  # of another standard, as far as its CI field tells
            raw = raw[:10] + b"\xff" + number.to_bytes(4, "big") + raw[15:] + bytes(10)
            raw = bytes((len(raw) - 1,)) + raw[1:]
        return kind, raw.hex()


@pytest.fixture
def lobaro() -> Iterator[StandInLobaro]:
    with started(StandInLobaro(SystemClock())) as stand_in:
        yield stand_in


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "state") as disk:
        yield disk


def test_whatever_fails_every_acknowledged_telegram_ends_once_and_is_told_of(
    tmp_path: Path, mosquitto: Mosquitto, lobaro: StandInLobaro, disk: SmallDisk
) -> None:
    keys = ", ".join(f"{{meter_id: '{meter_id}', key: {KNOWN.hex()}}}" for meter_id in ENCRYPTING)
    environ = {"INGEST_API_KEYS": ";".join(f"{gateway}:key-{gateway}" for gateway in GATEWAYS)}
    config = CONFIG.format(url=lobaro.url, keys=keys)
    daemon = Daemon(tmp_path, config, broker=mosquitto.url, environ=environ, within=disk.within)
    daemon.start()
    with subscribed(mosquitto.port, "oms/#") as subscriber:
        with Fleet(daemon.http_port) as fleet:
            _everything_fails(daemon, mosquitto, lobaro, disk, fleet)
        wait_until(lambda: not _unsettled(daemon, fleet), what=lambda: str(_unsettled(daemon, fleet)[:5]))
        wait_until(lambda: fleet.promised.keys() <= _told(subscriber), what="all of them are on the broker")
        states = {_status(daemon, ingest_id) for ingest_id in fleet.promised}
        assert states == FINAL, "every kind of end was met"
        _whose_key_comes_late_are_read(daemon, fleet)
        assert daemon.stop() == 0


def _everything_fails(
    daemon: Daemon, mosquitto: Mosquitto, lobaro: StandInLobaro, disk: SmallDisk, fleet: Fleet
) -> None:
    fleet.wait_for_more(30)
    mosquitto.stop()
    lobaro.behave("hang")
    fleet.wait_for_more(20)
    daemon.kill()
    daemon.start()
    mosquitto.start()
    lobaro.behave("unavailable")
    fleet.wait_for_more(20)
    disk.fill()
    fleet.wait_for_answer(503)
    lobaro.behave("html", 5)
    daemon.kill()
    daemon.start(wait=False)  # on the full disk
    wait_until(lambda: "it cannot start yet" in daemon.log or "web.server" in daemon.log.rpartition("starts with")[2])
    disk.free()
    fleet.wait_for_more(20)
    mosquitto.hang()
    lobaro.behave("rate_limit", 5)
    fleet.wait_for_more(20)
    daemon.kill()
    daemon.start()
    mosquitto.go_on()
    lobaro.behave("ok")
    fleet.wait_for_more(20)


def _whose_key_comes_late_are_read(daemon: Daemon, fleet: Fleet) -> None:
    late = [ingest_id for ingest_id, kind in fleet.promised.items() if kind == "keyless"]
    waiting = [ingest_id for ingest_id in late if _status(daemon, ingest_id) == "key_missing"]
    assert daemon.request("PUT", "/v1/admin/keys/30000000", {"key": UNKNOWN.hex()})[0] == 200
    wait_until(lambda: all(_status(daemon, ingest_id) == "published" for ingest_id in waiting))


def _status(daemon: Daemon, ingest_id: str) -> str:
    status, document = daemon.get(f"/v1/admin/telegrams/{ingest_id}")
    return str(document["status"]) if status == 200 else f"HTTP {status}"


def _unsettled(daemon: Daemon, fleet: Fleet) -> list[tuple[str, str]]:
    states = ((ingest_id, _status(daemon, ingest_id)) for ingest_id in fleet.promised)
    return [(ingest_id, status) for ingest_id, status in states if status not in FINAL]


def _told(subscriber: Subscriber) -> set[str]:
    """The telegrams of which at least one message came."""
    return {json.loads(payload)["ingest_id"] for _, payload, _ in list(subscriber.messages)}
