"""A configuration that changes while the daemon runs."""
from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mbusgw.runtime.worker import spawn
from mbusgw.simulator.segment import Segment
from tests.daemon import Daemon, running
from tests.e2e.test_daemon import OMS, buses
from tests.mosquitto import Mosquitto, subscribed
from tests.wait import PATIENCE_S, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]

NEW = "  - {id: cellar, name: Heat cellar, bus: main, address: 3, interval: 1}\n"


@contextmanager
def posting(daemon: Daemon) -> Iterator[list[int]]:
    """Telegrams at a steady rate for the length of a block; the answers' statuses, 0 for none."""
    statuses: list[int] = []
    over = threading.Event()

    def post() -> None:
        while not over.wait(0.02):
            try:
                statuses.append(daemon.post({"gateway_id": "gw1", "raw_hex": OMS})[0])
            except OSError:
                statuses.append(0)

    thread = spawn("posting", post)
    try:
        yield statuses
    finally:
        over.set()
        thread.join(PATIENCE_S)


def polling(daemon: Daemon, device: str) -> dict[str, Any]:
    return dict(daemon.get("/state")[1]["devices"][device]["polling"])


def test_meters_come_and_go_while_everything_else_goes_on(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    with subscribed(mosquitto.port, "#") as told:
        with running(tmp_path, buses(segment, 1, 2), broker=mosquitto.url) as daemon, posting(daemon) as statuses:
            wait_until(lambda: told.last("mbus/meter_1/energy") and told.last("mbus/meter_2/availability") == "online")
            wait_until(lambda: len(documents(told.messages)) >= 3, what="two meters and the gateway")
            reads = polling(daemon, "meter_1")["reads"]
            before = daemon.file.read_text()

            daemon.file.write_text(before + NEW)  # nobody says anything: it is noticed
            wait_until(lambda: told.last("mbus/cellar/availability") == "online")
            wait_until(lambda: [text for text in documents(told.messages).values() if "Heat cellar" in text])
            assert polling(daemon, "meter_1")["reads"] >= reads, "it was not begun anew"

            daemon.file.write_text(before.replace("meter_2", "meter_9", 1).replace("address: 2", "adress: 2"))
            wait_until(lambda: "stays in force" in daemon.log)
            assert daemon.get("/state")[1]["devices"].keys() >= {"meter_1", "meter_2", "cellar"}

            daemon.file.write_text(before)
            wait_until(lambda: told.last("mbus/cellar/availability") == "")
            wait_until(lambda: not [text for text in documents(told.messages).values() if "cellar" in text])
            assert "cellar" not in daemon.get("/state")[1]["devices"]
            wait_until(lambda: polling(daemon, "meter_2")["reads"] > reads)
            assert daemon.log.count("stays in force") == 1, "once for each change"
            assert daemon.log.count("mbusgw 0.") == 1, "no new start"
        assert len(statuses) > 20 and set(statuses) == {202}
        states = told.payloads("mbus/bridge/state")
        assert set(states[:-1]) == {"online"}, "the connection to the broker stayed"


def documents(messages: list[tuple[str, str, bool]]) -> dict[str, str]:
    """What is announced to Home Assistant now."""
    newest = {topic: text for topic, text, _ in list(messages) if topic.startswith("homeassistant/device/")}
    return {topic: text for topic, text in newest.items() if text}


def test_what_cannot_be_changed_in_place_starts_everything_anew(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    with subscribed(mosquitto.port, "mbus/#") as told:
        with running(tmp_path, buses(segment, 1), broker=mosquitto.url) as daemon:
            wait_until(lambda: told.last("mbus/meter_1/energy"))
            daemon.file.write_text(daemon.file.read_text() + "gateway: {language: de}\n")
            wait_until(lambda: "changed: gateway.language; this needs a new start" in daemon.log)
            wait_until(lambda: daemon.log.count("ready: ") == 2)
            wait_until(daemon.answers)


def test_found_meters_are_adopted_and_read_while_everything_else_goes_on(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    with subscribed(mosquitto.port, "#") as told:
        with running(tmp_path, "# mine\n" + buses(segment, 1), broker=mosquitto.url) as daemon:
            assert daemon.command("adopt", {"meters": ["els_1"]})[0] == 404
            assert daemon.command("adopt", {"meters": 5})[0] == 400
            status, found = daemon.command("scan", {"kind": "secondary"}, wait_s=24)
            assert status == 200 and len(found["meters"]) == 5
            with posting(daemon) as statuses:
                status, answer = daemon.command("adopt", {"meters": "all"})
                assert status == 200 and len(answer["added"]) == 4, "one is configured already"
                ids = [entry["id"] for entry in answer["added"]]
                assert answer["devices"]["added"] == ids
                for device in ids:
                    wait_until(lambda: told.last(f"mbus/{device}/availability") == "online")  # noqa: B023
                wait_until(lambda: len(documents(told.messages)) == 6)
            assert set(statuses) <= {202}
            assert daemon.file.read_text().count("# mine") == 1
            assert all(meter["configured"] for meter in daemon.get("/state")[1]["found"])
            status, answer = daemon.command("adopt", {"meters": "all"})
            assert status == 200 and answer["added"] == [] and len(answer["already"]) == 5
            done = mbusgw("adopt", "--all", "-c", str(daemon.file))
            assert done.returncode == 0 and "is configured already" in done.stdout, done.stderr
            done = mbusgw("adopt", ids[0], "els_1", "els_2", "-c", str(daemon.file))
            assert done.returncode == 2 and "no scan has found els_1, els_2" in done.stderr


def mbusgw(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mbusgw", *arguments]
    return subprocess.run(command, text=True, capture_output=True, timeout=PATIENCE_S, check=False)


def test_where_the_gateway_may_not_write_its_file_who_asks_does_it(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    refusing = tmp_path / "sitecustomize"  # stands for the service's read-only view of /etc
    refusing.mkdir()
    (refusing / "sitecustomize.py").write_text(
        "import os, errno\nreplace = os.rename\n"
        "def rename(a, b):\n"
        "    if str(b).endswith('mbusgw.yaml'):\n"
        "        raise OSError(errno.EROFS, 'Read-only file system')\n"
        "    replace(a, b)\n"
        "os.rename = rename\n"
    )
    path = f"{refusing}:{os.environ.get('PYTHONPATH', '')}"
    with running(tmp_path, buses(segment, 1), broker=mosquitto.url, environ={"PYTHONPATH": path}) as daemon:
        assert daemon.command("scan", {"kind": "secondary"}, wait_s=24)[0] in (200, 202)
        wait_until(lambda: len(daemon.get("/state")[1]["found"]) == 5)
        before = daemon.file.read_text()
        status, answer = daemon.command("adopt", {"meters": "all"})
        assert status == 503 and answer["error"] == "config_not_writable" and "chown" in answer["hint"]
        assert daemon.file.read_text() == before
        done = mbusgw("adopt", "--all", "-c", str(daemon.file))
        assert done.returncode == 0 and "was changed" in done.stdout, done.stderr
        wait_until(lambda: len(daemon.get("/state")[1]["devices"]) == 5)


def test_a_reload_can_be_asked_for_and_tells_what_it_did(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    with running(tmp_path, buses(segment, 1), broker=mosquitto.url) as daemon:
        daemon.file.write_text(daemon.file.read_text() + NEW)
        status, answer = daemon.command("reload", {})
        assert status == 200
        # Unless the daemon has noticed it by itself before.
        assert answer["devices"]["added"] == ["cellar"] or "wired meters added: cellar" in daemon.log
        daemon.file.write_text("buses: 5\n")
        status, answer = daemon.command("reload", {})
        assert status == 503 and answer["error"] == "config_error" and "buses: must be a list" in answer["problems"][0]
