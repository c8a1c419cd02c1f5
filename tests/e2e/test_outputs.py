"""Other outputs than MQTT, with the daemon as a user starts it."""
from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mbusgw.simulator.segment import Segment
from tests.daemon import Daemon, running
from tests.e2e.test_daemon import buses
from tests.fakes.consumer import Consumer, Reply
from tests.mosquitto import Mosquitto, free_port, subscribed
from tests.outputs.lineprotocol import parse
from tests.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]


@pytest.fixture
def hook() -> Iterator[Consumer]:
    with Consumer() as consumer:
        yield consumer


@pytest.fixture
def influx() -> Iterator[Consumer]:
    with Consumer() as consumer:
        yield consumer


def outputs(hook: Consumer, influx: Consumer) -> str:
    return (
        "health: {interval: 0.5}\n"
        f"outputs:\n  - {{type: webhook, url: '{hook.url}/hook', token: hook-token}}\n"
        f"  - {{type: influx, url: '{influx.url}', bucket: meters, org: home, token: influx-token}}\n"
        f"  - {{type: webhook, name: dead, url: 'http://127.0.0.1:{free_port()}/'}}\n"
    )


def stored(daemon: Daemon) -> list[tuple[int, str]]:
    """Id and device of every reading that the daemon has made."""
    with closing(sqlite3.connect(daemon.database)) as connection:
        return connection.execute("SELECT id, device_id FROM readings ORDER BY id").fetchall()


def hooked(hook: Consumer) -> list[tuple[int, str]]:
    documents = [json.loads(body) for body in hook.bodies()]
    return [(one["reading"], one["device"]) for one in documents]


def test_every_reading_reaches_every_output_through_kills_and_outages(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment, hook: Consumer, influx: Consumer
) -> None:
    config = buses(segment, 1, 2) + outputs(hook, influx)
    daemon = Daemon(tmp_path, config, broker=mosquitto.url)
    daemon.start()
    wait_until(lambda: len(hook.taken) >= 3)
    for _ in range(3):
        daemon.kill()
        daemon.start()
        more = len(hook.taken) + 3
        wait_until(lambda: len(hook.taken) >= more)
    influx.answer = hook.answer = lambda _taken: Reply(503)
    before = len(stored(daemon))
    wait_until(lambda: len(stored(daemon)) >= before + 3)
    influx.answer = hook.answer = lambda _taken: Reply(204)
    with subscribed(mosquitto.port, "mbus/#") as told:
        wait_until(lambda: told.last("mbus/meter_1/energy"), what="a dead output is none of MQTT's business")
    assert daemon.stop() == 0
    daemon.start()
    wait_until(lambda: set(stored(daemon)) <= set(hooked(hook)))
    wait_until(lambda: daemon.get("/state")[1]["outputs"]["influx"]["waiting"] == 0)
    made, took = stored(daemon), hooked(hook)
    assert [one for number, one in enumerate(took) if one not in took[:number]] == sorted(set(took)), "in order"
    assert len(took) - len(set(took)) < len(made)
    points = {(point.tags["device"], point.time) for body in influx.bodies() for point in parse(body)}
    assert len(points) >= len(made) - 2
    wait_until(lambda: daemon.get("/state")[1]["outputs"]["dead"]["trouble"] == "no connection")
    assert daemon.get("/state")[1]["outputs"]["dead"]["waiting"] >= len(made)
    wait_until(lambda: daemon.get("/health")[1]["components"]["output dead"]["status"] == "degraded")
    health = daemon.get("/health")[1]
    assert health["components"]["output webhook"] == {"status": "healthy", "detail": "takes readings"}
    assert health["status"] == "degraded"
    sent = 'mbusgw_output_readings_total{output="webhook",result="sent"}'
    wait_until(lambda: sent in daemon.get("/metrics")[1], what="the first of this run")
    metrics = daemon.get("/metrics")[1]
    assert 'mbusgw_output_requests_total{output="dead",result="away"}' in metrics
    assert 'mbusgw_output_waiting{output="dead"}' in metrics and 'mbusgw_output_lost{output="dead"} 0.0' in metrics
    assert "hook-token" not in daemon.log and "influx-token" not in daemon.log and "/hook" not in daemon.log
    assert daemon.stop() == 0


def test_outputs_come_and_go_in_place(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment, hook: Consumer, influx: Consumer
) -> None:
    with running(tmp_path, buses(segment, 1), broker=mosquitto.url) as daemon:
        wait_until(lambda: len(stored(daemon)) >= 1)
        reads = daemon.get("/state")[1]["devices"]["meter_1"]["polling"]["reads"]
        before = daemon.file.read_text()
        daemon.file.write_text(before + outputs(hook, influx).partition("\n")[2])
        status, answer = daemon.command("reload", {})
        assert status == 200 and answer["changed"] == ["outputs"] and answer["restart"] == []
        wait_until(lambda: hook.taken and influx.taken)
        assert hooked(hook)[0][0] > 1, "a new output begins with what is read from now on"
        assert daemon.get("/state")[1]["devices"]["meter_1"]["polling"]["reads"] >= reads
        daemon.file.write_text(before)
        daemon.command("reload", {})
        assert daemon.get("/state")[1]["outputs"] == {}
