"""Asking a running daemon, as people and programs do: command line, MQTT, HTTP."""
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mbusgw.simulator.catalogue import build_meters
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.line import PtyLine
from mbusgw.simulator.segment import Segment
from tests.daemon import Daemon, running
from tests.mosquitto import Mosquitto, subscribed
from tests.simulator.wire import CLOCK, FAST, running_segment
from tests.wait import PATIENCE_S, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]

# A fault is seen at once, without a repeat; a busy machine is none.
CONFIG = """
buses: [{{name: main, port: '{port}', baudrate: {baud}, scan_interval: 3600, max_retries: 0, latency_ms: 500}}]
devices: [{{id: heat, bus: main, address: 1}}, {{id: water, bus: main, address: 2}}]
"""


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    with running_segment(PtyLine(tmp_path / "bus"), build_meters(4, clock=CLOCK)) as segment:
        yield segment


@pytest.fixture
def daemon(tmp_path: Path, mosquitto: Mosquitto, segment: Segment) -> Iterator[Daemon]:
    config = CONFIG.format(port=segment.port, baud=FAST)
    with running(tmp_path, config, broker=mosquitto.url) as daemon:
        wait_until(lambda: daemon.get("/state")[1]["devices"]["water"]["online"])
        yield daemon


def mbusgw(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mbusgw", *map(str, arguments)]
    return subprocess.run(command, text=True, capture_output=True, timeout=PATIENCE_S, check=False)


def test_the_command_line_reads_through_the_running_daemon(daemon: Daemon, segment: Segment) -> None:
    by_name = mbusgw("read", "heat", "--json", "-c", daemon.file)
    assert by_name.returncode == 0, by_name.stderr
    assert json.loads(by_name.stdout)["device"] == "heat"
    assert daemon.get("/state")[1]["devices"]["heat"]["polling"]["reads"] == 2

    unknown = mbusgw("read", 3, "-c", daemon.file)
    assert unknown.returncode == 0 and f"SIM {segment.meters[2].identity.id}" in unknown.stdout
    by_port = mbusgw("read", 3, "--bus", segment.port, "-c", daemon.file)
    assert by_port.stdout.splitlines()[1:4] == unknown.stdout.splitlines()[1:4]

    silent = mbusgw("read", 99, "-c", daemon.file)
    assert (silent.returncode, silent.stdout) == (1, "") and "no answer from address 99" in silent.stderr

    status = mbusgw("status", "-c", daemon.file)
    assert status.returncode == 0 and "2 of 2 meters online" in status.stdout
    assert json.loads(mbusgw("status", "--json", "-c", daemon.file).stdout)["health"]["status"] == "healthy"


def test_a_meter_is_moved_through_the_running_daemon_while_it_reads_the_others(
    daemon: Daemon, segment: Segment
) -> None:
    refused = mbusgw("set-address", 4, 2, "--yes", "-c", daemon.file)
    assert refused.returncode == 1 and "device water is configured at address 2" in refused.stderr
    moved = mbusgw("set-address", 4, 44, "--yes", "-c", daemon.file)
    assert moved.returncode == 0 and "answers at address 44 now; it was 4" in moved.stdout
    assert segment.meters[3].address == 44
    assert mbusgw("reset", "heat", "-c", daemon.file).returncode == 0
    for device in ("heat", "water"):
        assert mbusgw("read", device, "-c", daemon.file).returncode == 0
    polling = [one["polling"] for one in daemon.get("/state")[1]["devices"].values()]
    assert [(one["failures"], one["reads"]) for one in polling] == [(0, 2), (0, 2)]
    assert daemon.get("/state")[1]["buses"]["main"]["connected"]


def test_two_processes_on_one_port_are_told_of_each_other(daemon: Daemon, segment: Segment) -> None:
    """With another configuration the gateway is not found: the port tells who has it, and nobody is disturbed."""
    done = mbusgw("read", 1, "--bus", segment.port, "--baud", FAST, "-c", _other_config(daemon))
    assert done.returncode == 1 and daemon.process is not None
    assert "is in use by" in done.stderr and f"(pid {daemon.process.pid})" in done.stderr
    assert mbusgw("read", 1, "-c", daemon.file).returncode == 0


def _other_config(daemon: Daemon) -> Path:
    file = daemon.folder / "other.yaml"
    file.write_text("http: {listen: '127.0.0.1:0'}\n")
    return file


def test_requests_over_mqtt_are_answered_and_a_flood_hurts_nobody(daemon: Daemon, mosquitto: Mosquitto) -> None:
    with subscribed(mosquitto.port, "mbus/bridge/response/#", "mbus/heat/+") as subscriber:

        def answers() -> list[Any]:
            return [json.loads(text) for text in subscriber.payloads("mbus/bridge/response/read")]

        def answer_to(transaction: object) -> Any:
            return wait_until(lambda: [one for one in answers() if one.get("transaction") == transaction])[-1]

        subscriber.publish("mbus/bridge/request/read", json.dumps({"device": "heat", "transaction": "a"}))
        assert answer_to("a")["data"]["header"]["manufacturer"] == "SIM"
        wait_until(lambda: subscriber.last("mbus/heat/energy"))
        subscriber.publish("mbus/bridge/request/read", json.dumps({"device": "attic", "transaction": "b"}))
        assert answer_to("b")["status"] == "error"
        subscriber.publish("mbus/bridge/request/read", "{" * 1_000_000)
        wait_until(lambda: any(one.get("code") == "too_long" for one in answers()))
        for number in range(500):
            subscriber.publish("mbus/bridge/request/read", json.dumps({"address": 1, "transaction": number}))
        wait_until(lambda: any(one.get("code") == "too_many_requests" for one in answers()))

        def served() -> bool:
            subscriber.publish("mbus/bridge/request/read", json.dumps({"address": 2, "transaction": "c"}))
            return any(one["status"] == "ok" for one in answers() if one.get("transaction") == "c")

        wait_until(served)
    assert daemon.get("/health")[1]["status"] == "healthy"


def test_commands_over_mqtt_can_be_switched_off(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with running(tmp_path, "", broker=mosquitto.url, environ={}) as daemon:
        daemon.stop()
        daemon.file.write_text(daemon.file.read_text().replace("heartbeat: 2", "heartbeat: 2, commands: false"))
        daemon.start()
        with subscribed(mosquitto.port, "mbus/bridge/#") as subscriber:
            subscriber.publish("mbus/bridge/request/read", "{}")
            beats = len(subscriber.payloads("mbus/bridge/state"))
            wait_until(lambda: len(subscriber.payloads("mbus/bridge/state")) >= beats + 2)
            assert not subscriber.payloads("mbus/bridge/response/read")
        done = mbusgw("read", 1, "-c", daemon.file)
        assert done.returncode == 2 and "which bus" in done.stderr


def test_a_device_is_told_to_pause_over_mqtt_and_a_restart_ends_that(daemon: Daemon, mosquitto: Mosquitto) -> None:
    def ask(command: str, **request: Any) -> Any:
        subscriber.publish(f"mbus/bridge/request/{command}", json.dumps({**request, "transaction": len(answers)}))
        answers.append(
            wait_until(
                lambda: next(
                    (
                        one
                        for text in subscriber.payloads(f"mbus/bridge/response/{command}")
                        if (one := json.loads(text)).get("transaction") == len(answers)
                    ),
                    None,
                )
            )
        )
        return answers[-1]

    answers: list[Any] = []
    with subscribed(mosquitto.port, "mbus/bridge/response/#") as subscriber:
        assert ask("set", device="water", paused=True)["data"]["paused"] is True
        wait_until(lambda: daemon.get("/state")[1]["devices"]["water"]["polling"]["paused"])
        wrong = ask("set", device="watr", paused=True)
        assert (wrong["status"], wrong["code"]) == ("error", "unknown_device") and "water" in wrong["error"]
        assert ask("rediscover")["data"]["devices"] == 2
        assert ask("set", log_level="debug")["data"] == {"log_level": "DEBUG"}
        started = daemon.get("/health")[1]["started_at"]
        wait_until(lambda: ask("restart")["status"] == "ok")
        wait_until(lambda: (health := _while_up(daemon, "/health")) and health["started_at"] != started)
        state = wait_until(lambda: _while_up(daemon, "/state"))
        assert state["devices"]["water"]["polling"]["paused"] is False


def _while_up(daemon: Daemon, path: str) -> Any:
    try:
        return daemon.get(path)[1]
    except OSError:
        return None


def test_a_bus_is_examined_through_the_running_daemon_while_it_reads(daemon: Daemon, segment: Segment) -> None:
    well = mbusgw("bus-doctor", "main", "--rounds", 2, "--json", "-c", daemon.file)
    document = json.loads(well.stdout)
    assert [one["device"] for one in document["meters"]] == ["heat", "water"]
    assert all(one["answers"] >= 3 for one in document["meters"]), "its own reads beside those of the daemon"
    failures = daemon.get("/state")[1]["devices"]["water"]["polling"]["failures"]
    segment.meters[1].fault = Fault(FaultKind.CHECKSUM)
    ill = mbusgw("bus-doctor", "main", "--rounds", 1, "-c", daemon.file)
    assert ill.returncode == 1 and "water (address 2)" in ill.stdout and "damaged" in ill.stdout
    polling = daemon.get("/state")[1]["devices"]["water"]["polling"]
    assert polling["failures"] == failures, "those of the examination are none of the daemon's"
