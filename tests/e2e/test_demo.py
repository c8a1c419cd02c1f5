"""The demo as a newcomer meets it: a process of its own, with real broker, real daemon and real signals."""
from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.wait import PATIENCE_S, wait_until

pytestmark = pytest.mark.slow

DEMO = [sys.executable, "-m", "mbusgw", "demo"]
RADIO = {"sim_10000006": "warm water", "sim_40000007": "heat cost allocator", "sim_60000008": "heat"}
WIRED = {
    "heat": "heat",
    "water": "water",
    "electricity": "electricity",
    "gas": "gas",
    "heat_cost_allocator": "heat cost allocator",
}


class Terminal:
    """A terminal with a demo in it."""

    def __init__(self, folder: Path, command: list[str], kind: str) -> None:
        self.master, slave = pty.openpty()
        os.set_blocking(self.master, False)
        self._text = b""
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**environ(folder), "TERM": kind, "COLUMNS": "130", "LINES": "40"},
        )
        os.close(slave)

    def text(self) -> str:
        try:
            self._text += os.read(self.master, 1_000_000)
        except OSError:
            pass  # nothing new, or nobody there any more
        return self._text.decode(errors="replace")

    def shows(self, text: str) -> None:
        wait_until(lambda: text in self.text(), what=lambda: f"{text!r} in:\n{self.text()[-3000:]}")

    def ended(self) -> bool:
        self.text()  # or it could not write its last words
        return self.process.poll() is not None


@contextmanager
def terminal(folder: Path, command: list[str] = DEMO, kind: str = "xterm") -> Iterator[Terminal]:
    one = Terminal(folder, command, kind)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait(PATIENCE_S)
        if one.master >= 0:
            os.close(one.master)


def environ(folder: Path) -> dict[str, str]:
    # Variables of a real installation must not reach the demo's gateway.
    return {**os.environ, "TMPDIR": str(folder), "MQTT_URL": "mqtt://192.0.2.1:1883", "N_WORKERS": "99"}


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def everything_is_gone(folder: Path, pids: list[int]) -> bool:
    return list(folder.iterdir()) == [] and all(gone(pid) for pid in pids)


def test_every_value_of_every_simulated_meter_arrives_right(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--duration", "20", "--json"],
        env=environ(tmp_path),
        text=True,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["ok"] is True and document["reasons"] == []
    assert {name: meter["medium"] for name, meter in document["meters"].items()} == {**WIRED, **RADIO}
    for meter in document["meters"].values():
        assert meter["ok"] and meter["online"] and meter["announced"]
        assert len(meter["values"]) >= 6
    assert document["meters"]["gas"]["values"]["volume"]["unit"] == "m³"
    assert 20417.86 <= document["meters"]["gas"]["values"]["volume"]["value"] < 20418
    assert document["duration_s"] >= 20
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_the_view_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with terminal(tmp_path) as demo:
        demo.shows("8 of 8 meters online")
        demo.shows("Electricity, main")
        demo.shows("dBm")
        pids = children(demo.process.pid)
        assert len(pids) == 2  # broker and gateway
        os.write(demo.master, b"\x03")
        wait_until(demo.ended)
        assert demo.process.returncode == 0
        assert "everything is stopped and removed" in demo.text()
        assert demo.text().rindex("\x1b[?25h") > demo.text().rindex("\x1b[?25l")  # the cursor is back
        assert everything_is_gone(tmp_path, pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_as_ctrl_c_does(tmp_path: Path, number: signal.Signals) -> None:
    with terminal(tmp_path) as demo:
        demo.shows("meters online")
        pids = children(demo.process.pid)
        demo.process.send_signal(number)
        wait_until(demo.ended)
        assert demo.process.returncode == 0
        assert everything_is_gone(tmp_path, pids)


def test_a_terminal_that_is_closed_ends_it(tmp_path: Path) -> None:
    with terminal(tmp_path) as demo:
        demo.shows("meters online")
        pids = children(demo.process.pid)
        os.close(demo.master)
        demo.master = -1
        wait_until(lambda: demo.process.poll() is not None)
        assert everything_is_gone(tmp_path, pids)


def test_a_signal_during_the_start_leaves_nothing_behind(tmp_path: Path) -> None:
    with terminal(tmp_path) as demo:
        wait_until(lambda: list(tmp_path.iterdir()))
        demo.process.send_signal(signal.SIGINT)
        wait_until(demo.ended)
        assert list(tmp_path.iterdir()) == []


def test_when_it_is_killed_broker_and_gateway_end_too(tmp_path: Path) -> None:
    with terminal(tmp_path) as demo:
        demo.shows("meters online")
        pids = children(demo.process.pid)
        demo.process.kill()
        wait_until(lambda: all(gone(pid) for pid in pids))


def test_a_gateway_that_ends_by_itself_is_reported_and_ends_the_demo(tmp_path: Path) -> None:
    with terminal(tmp_path) as demo:
        demo.shows("meters online")
        pids = children(demo.process.pid)
        os.kill(pids[1], signal.SIGKILL)
        wait_until(demo.ended)
        assert demo.process.returncode == 1
        assert "the gateway has ended (SIGKILL)" in demo.text()
        assert everything_is_gone(tmp_path, pids)


def test_a_demo_that_ends_before_its_time_does_not_say_that_all_was_right(tmp_path: Path) -> None:
    with subprocess.Popen([*DEMO, "--json"], env=environ(tmp_path), stdout=subprocess.PIPE, text=True) as demo:
        wait_until(lambda: list(tmp_path.iterdir()))
        demo.terminate()
        out, _ = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 130
    assert out == "" or json.loads(out)["ok"] is False
    assert list(tmp_path.iterdir()) == []


def test_a_meter_that_is_not_read_right_fails_the_demo(tmp_path: Path) -> None:
    program = """
import sys
from mbusgw.cli import demo_house, main
from mbusgw.simulator.fault import Fault, FaultKind

class Spoiled(demo_house.House):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.wired[3].fault = Fault(FaultKind.SILENT)
        self.radio[0].key = bytes(16)

main.import_module("mbusgw.cli.demo").House = Spoiled
sys.exit(main.main(["demo", "--json", "--duration", "15"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environ(tmp_path),
        text=True,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    document = json.loads(done.stdout)
    assert done.returncode == 1 and document["ok"] is False
    bad = {name for name, meter in document["meters"].items() if not meter["ok"]}
    assert bad == {"gas", "sim_10000006"}
    assert "gas: volume never arrived\n" in done.stderr
    assert "sim_10000006: is not online\n" in done.stderr


def test_without_rich_there_are_lines_and_a_word_on_how_to_get_the_table(tmp_path: Path) -> None:
    program = "import sys; sys.modules['rich'] = None; from mbusgw.cli.main import main; sys.exit(main(['demo']))"
    with terminal(tmp_path, [sys.executable, "-c", program]) as demo:
        demo.shows("pip install 'mbusgw[demo]'")
        demo.shows("Gas, main")
        os.write(demo.master, b"\x03")
        wait_until(demo.ended)
        assert "\x1b" not in demo.text()


def test_a_terminal_without_a_cursor_gets_lines(tmp_path: Path) -> None:
    with terminal(tmp_path, kind="dumb") as demo:
        demo.shows("Everything on MQTT")
        demo.process.terminate()
        wait_until(demo.ended)
        assert "\x1b" not in demo.text()
