"""``mbusgw scan`` without a gateway: in its own process, with the same parts."""
from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbusgw.cli.main import main
from mbusgw.cli.scan_text import duration, progress_line, result_text
from mbusgw.config.loader import load
from mbusgw.simulator.segment import Segment
from tests.cli.without_gateway import written_config
from tests.simulator.wire import FAST, running_segment
from tests.wait import PATIENCE_S, wait_until

ONE = "6FFFFFFF"


@pytest.fixture
def segment() -> Iterator[Segment]:
    with running_segment(meters=3) as segment:
        yield segment


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def config(tmp_path: Path, segment: Segment) -> Path:
    return written_config(tmp_path, segment, "  - {id: heat, bus: main, address: 1}\n", bus=", latency_ms: 300")


def scan(config: Path, *arguments: str) -> int:
    return main(["scan", *arguments, "-c", str(config)])


@pytest.mark.slow
def test_what_is_found_is_shown_as_a_table(
    config: Path, segment: Segment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scan(config, "--secondary", "--mask", ONE) == 0
    captured = capsys.readouterr()
    head, row = captured.out.splitlines()[:2]
    assert head.split() == ["ID", "MANUFACTURER", "MEDIUM", "VERSION", "PRIMARY", "SECONDARY", "BAUD", "CONFIGURED"]
    assert row.startswith("sim_60000001") and row.endswith("heat") and " heat " in row
    assert str(segment.meters[0].secondary_address) in row
    assert "1 meter found on bus main in " in captured.out
    assert captured.err == "", "progress is for terminals"


def test_json_is_for_programs_and_a_port_needs_no_configuration(
    segment: Segment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", segment.port, "--baud", str(FAST), "--secondary", "--mask", "6", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["complete"] is True
    assert [meter["meter"]["id"] for meter in document["meters"]] == ["60000001"]
    assert document["meters"][0]["primary"] == 1


@pytest.mark.parametrize("command", ["scan", "bus-doctor"])
def test_a_port_that_cannot_be_opened_is_said_at_once(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "/nowhere/ttyUSB9"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "/nowhere/ttyUSB9" in captured.err


@pytest.mark.parametrize("command", ["scan", "bus-doctor"])
def test_a_bus_that_must_be_named_is_asked_for_as_it_is_written(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "none.yaml"
    file.write_text("gateway: {language: en}\n")
    assert main([command, "-c", str(file)]) == 2
    complaint = capsys.readouterr().err
    assert "which bus? Name it, or its port" in complaint and "--bus" not in complaint


@pytest.mark.slow
def test_adopting_writes_what_is_new_and_leaves_the_rest(
    config: Path, segment: Segment, capsys: pytest.CaptureFixture[str]
) -> None:
    before = config.read_text()
    assert scan(config, "main", "--secondary", "--adopt") == 0
    assert "written into the configuration: " in capsys.readouterr().out
    text = config.read_text()
    assert text.startswith(before.rstrip("\n")) and "# the cellar" in text
    devices = load(config, {}).devices
    assert {device.address for device in devices} == {1, 2, 3}
    assert scan(config, "main", "--secondary", "--adopt") == 0
    assert "nothing new" in capsys.readouterr().out and config.read_text() == text


def test_adopting_from_a_port_writes_its_bus_too(tmp_path: Path, segment: Segment) -> None:
    file = tmp_path / "new.yaml"
    file.write_text("http: {listen: '127.0.0.1:1'}\n")
    assert scan(file, segment.port, "--baud", str(FAST), "--secondary", "--mask", ONE, "--adopt") == 0
    config = load(file, {})
    assert [(bus.name, bus.port, bus.baudrate) for bus in config.buses] == [("main", segment.port, FAST)]
    assert [(device.id, device.bus) for device in config.devices] == [("sim_60000001", "main")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cellar"], "no bus 'cellar'"),
        (["ttyUSB0"], "with its whole name: /dev/ttyUSB0"),
        (["ftp://x"], "mbusgw: ftp://x: a URL begins with socket://"),
        (["--mask", "12XX"], "up to 16 hex digits"),
        (["--primary", "--mask", "12"], "a mask is for the search by secondary address"),
        (["--resume", "--hex"], "hex cannot be chosen"),
    ],
)
def test_wrong_words_are_usage(
    config: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scan(config, *arguments) == 2
    assert words in capsys.readouterr().err


def test_nothing_to_resume_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scan(config, "--resume") == 1
    assert "no unfinished scan" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on_and_resume_does(
    config: Path, segment: Segment, capsys: pytest.CaptureFixture[str]
) -> None:
    near, far = pty.openpty()
    command = [sys.executable, "-m", "mbusgw", "scan", "main", "--secondary", "-c", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=far, text=True, env=os.environ) as process:
        os.close(far)
        wait_until(lambda: len(segment.requests) > 8)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
    told = _everything(near)
    assert "`mbusgw scan main --resume` goes on" in told and " %  " in told
    assert scan(config, "--resume", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["meters"]) == 3


@pytest.mark.slow
def test_a_scan_that_was_killed_is_gone_on_with(
    config: Path, segment: Segment, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "mbusgw", "scan", "main", "--secondary", "-c", str(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ) as process:
        wait_until(lambda: len(segment.requests) > 8)
        process.kill()
    assert scan(config, "--resume", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["meters"]) == 3


def _everything(descriptor: int) -> str:
    data = b""
    try:
        while some := os.read(descriptor, 4096):
            data += some
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(descriptor)
    return data.decode()


# ------------------------------------------------------------------ words
def test_durations_are_told_as_people_do() -> None:
    assert [duration(seconds) for seconds in (4.4, 89, 200, 7500)] == ["4 s", "89 s", "3 min", "2 h 5 min"]


def test_why_a_scan_waits_is_told_instead_of_what_it_does() -> None:
    progress = {"percent": 34.2, "found": 3, "doing": "primary address 85", "remaining_s": 40, "waits": "lost /dev/x"}
    assert progress_line(progress) == " 34.2 %  3 found  waits: lost /dev/x"


def test_progress_is_one_line() -> None:
    progress = {"percent": 34.2, "found": 3, "doing": "primary address 85", "remaining_s": 40}
    assert progress_line(progress) == " 34.2 %  3 found  primary address 85, about 40 s left"
    assert progress_line({**progress, "remaining_s": None}).endswith("address 85")


def test_what_is_odd_stands_below_the_table() -> None:
    nameless = {
        "device_id": "main_5", "meter": None, "product": None, "primary": 5, "secondary": None, "baudrate": 2400,
        "configured": None, "note": "several meters share this address",
    }  # fmt: skip
    text = result_text(
        {"bus": "main", "complete": False, "probes": 7, "elapsed_s": 3.0, "meters": [nameless], "adopted": []}
    )
    assert "main_5: several meters share this address" in text
    assert "0 meters found on bus main in 3 s (7 probes) until it was cancelled" in text
    assert text.endswith("nothing new")
