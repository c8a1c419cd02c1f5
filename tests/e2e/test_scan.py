"""A running daemon finds meters beside reading others, and remembers them."""
from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mbusgw.simulator.catalogue import build_meters
from mbusgw.simulator.line import PtyLine
from tests.daemon import Daemon, running
from tests.mosquitto import Mosquitto, subscribed
from tests.simulator.wire import CLOCK, FAST, running_segment
from tests.wait import PATIENCE_S, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]

CONFIG = """
buses: [{{name: main, port: '{port}', baudrate: {baud}, scan_interval: 1, latency_ms: 200}}]
devices: [{{id: heat, bus: main, address: 1}}]
"""


def test_a_scan_over_mqtt_tells_its_progress_and_what_it_found_is_known_after_a_restart(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with running_segment(PtyLine(tmp_path / "bus"), build_meters(3, clock=CLOCK)) as segment:
        config = CONFIG.format(port=segment.port, baud=FAST)
        with (
            running(tmp_path, config, broker=mosquitto.url) as daemon,
            subscribed(mosquitto.port, "mbus/bridge/response/scan") as subscriber,
        ):
            wait_until(lambda: daemon.get("/state")[1]["devices"]["heat"]["online"])
            wanted = {"bus": "main", "kind": "secondary", "transaction": 7}
            subscriber.publish("mbus/bridge/request/scan", json.dumps(wanted))

            def answers() -> list[dict[str, object]]:
                return [json.loads(text) for text in subscriber.payloads("mbus/bridge/response/scan")]

            end = wait_until(lambda: [one for one in answers() if "data" in one])[-1]
            assert end["status"] == "ok" and end["transaction"] == 7
            assert any("progress" in one for one in answers())
            wait_until(lambda: daemon.get("/state")[1]["devices"]["heat"]["polling"]["reads"] > 2)

            found = daemon.get("/state")[1]["found"]
            assert sorted(one["configured"] or "-" for one in found) == ["-", "-", "heat"]
            assert daemon.get("/state")[1]["devices"]["heat"]["polling"]["failures"] == 0

            command = [sys.executable, "-m", "mbusgw", "scan", "main", "--secondary", "--mask", "6", "--json"]
            command += ["-c", str(daemon.file)]
            done = subprocess.run(command, text=True, capture_output=True, timeout=PATIENCE_S, check=True)
            [meter] = json.loads(done.stdout)["meters"]
            assert meter["configured"] == "heat"

            daemon.stop()
            daemon.start()
            assert len(daemon.get("/state")[1]["found"]) == 3


def test_ctrl_c_ends_the_scan_in_the_running_daemon_and_says_how_to_go_on(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with running_segment(PtyLine(tmp_path / "bus"), build_meters(1, clock=CLOCK)) as segment:
        config = CONFIG.format(port=segment.port, baud=FAST)
        with running(tmp_path, config, broker=mosquitto.url) as daemon:
            command = [sys.executable, "-m", "mbusgw", "scan", "main", "--primary", "-c", str(daemon.file)]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
                wait_until(lambda: daemon.get("/state")[1]["found"])
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=PATIENCE_S)
            assert process.returncode != 0 and "mbusgw scan main --resume" in said
            tasks = wait_until(lambda: [one for one in _tasks(daemon) if one["state"] != "running"])
            assert [one["state"] for one in tasks] == ["cancelled"]


def _tasks(daemon: Daemon) -> list[dict[str, str]]:
    document = daemon.get("/v1/admin/commands")[1]
    return [one for one in document["tasks"] if one["command"] == "scan"]
