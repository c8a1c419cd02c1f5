"""A start on a disk that is full, as radio gateways see it."""
from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import KEY, Daemon
from tests.e2e.test_restricted import water
from tests.fakes.disk import SmallDisk, small_disk
from tests.mosquitto import Mosquitto, subscribed
from tests.wait import PATIENCE_S, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "state") as disk:
        yield disk


def answer(daemon: Daemon, method: str, path: str) -> tuple[int, str | None]:
    """Status and Retry-After."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=PATIENCE_S)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    body = f'{{"gateway_id": "gw1", "raw_hex": "{water(1)}"}}' if method == "POST" else None
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        response.read()
        return response.status, response.headers["Retry-After"]
    finally:
        connection.close()


def test_gateways_are_told_to_come_back_until_there_is_room(
    tmp_path: Path, mosquitto: Mosquitto, disk: SmallDisk
) -> None:
    disk.fill()
    daemon = Daemon(tmp_path, "", broker=mosquitto.url, within=disk.within)
    daemon.start(wait=False)
    wait_until(daemon.answers, what=lambda: daemon.log)
    assert "it cannot start yet, and waits" in daemon.log
    for method, path in (("POST", "/v1/telegrams"), ("HEAD", "/v1/telegrams"), ("GET", "/health"), ("GET", "/metrics")):
        assert answer(daemon, method, path) == (503, "30")
    with subscribed(mosquitto.port, "oms/#") as told:
        disk.free()
        assert wait_until(lambda: answer(daemon, "POST", "/v1/telegrams") if ready(daemon) else None)[0] == 202
        wait_until(lambda: told.messages, what="it is read")
        assert len({topic.rpartition("/")[2] for topic, _, _ in told.messages if "/raw/" in topic}) == 1
    assert daemon.stop() == 0


def ready(daemon: Daemon) -> bool:
    return "ready:" in daemon.log
