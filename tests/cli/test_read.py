"""``mbusgw read`` without a gateway: in its own process, with the same parts."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbusgw.cli.main import main
from mbusgw.cli.remote import same_port
from mbusgw.simulator.catalogue import build_meter
from mbusgw.simulator.segment import Segment
from tests.cli.without_gateway import written_config
from tests.simulator.wire import CLOCK, FAST, running_segment


@pytest.fixture
def segment() -> Iterator[Segment]:
    meters = [build_meter("heat", 1, clock=CLOCK), build_meter("electricity", 2, clock=CLOCK, telegrams=2)]
    with running_segment(meters=meters) as segment:
        yield segment


@pytest.fixture
def config(tmp_path: Path, segment: Segment) -> Path:
    devices = "  - {id: heat, bus: main, address: 1}\n  - {id: spare, bus: main, address: 2, enabled: false}\n"
    return written_config(tmp_path, segment, devices, buses="  - {name: attic, port: /nowhere/at/all}\n")


def read(config: Path, *arguments: str) -> int:
    return main(["read", *arguments, "-c", str(config)])


def test_a_meter_is_shown_as_a_frame_is_explained(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read(config, "1", "--bus", "main") == 0
    text = capsys.readouterr().out
    assert text.startswith("wired M-Bus frame, ") and "  meter          SIM 60000001\n" in text
    assert "Flow temperature" in text and " energy\n" in text


def test_the_telegrams_of_a_readout_are_shown_as_one(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read(config, "2", "--bus", "main") == 0
    text = capsys.readouterr().out
    assert text.startswith("wired M-Bus frames (2), ") and "more records follow" not in text


@pytest.mark.parametrize("device", ["heat", "spare"])
def test_a_configured_device_is_read_whether_it_is_enabled_or_not(
    config: Path, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read(config, device, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["address"] == {"heat": 1, "spare": 2}[device] and document["bus"] == "main"


def test_a_port_needs_no_configuration(segment: Segment, capsys: pytest.CaptureFixture[str]) -> None:
    number = segment.meters[0].identity.id
    assert main(["read", f"{number}FFFFFFFF", "--bus", segment.port, "--baud", str(FAST), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["header"]["id"] == number


def test_a_lonely_meter_is_read_without_its_address(capsys: pytest.CaptureFixture[str]) -> None:
    with running_segment(meters=1) as segment:
        assert main(["read", "--any", "--bus", segment.port, "--baud", str(FAST)]) == 0
    assert "SIM 60000001" in capsys.readouterr().out


def test_nobody_there_is_exit_1_with_advice(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read(config, "77", "--bus", "main") == 1
    assert "mbusgw: no answer from address 77" in capsys.readouterr().err
    assert read(config, "77", "--bus", "main", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False and document["error_type"] == "NoAnswer"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cellar"], "no device 'cellar' in the configuration"),
        (["251"], "a primary address is 0 to 250"),
        (["123456789"], "this one has 9"),
        (["12345678"], "by its number alone as 12345678FFFFFFFF"),
        ([], "name an address or a device"),
        (["1", "--any"], "name an address or a device"),
        (["1"], "which bus? Name it with --bus NAME, or its port (/dev/ttyUSB0); the configuration has main, attic"),
        (["1", "--bus", "cellar"], "there is no bus 'cellar'; the configuration has main, attic"),
        (["1", "--bus", "ftp://x"], "a URL begins with socket://"),
        (["heat", "--bus", "attic"], "heat is on bus main, not on attic"),
        (["254", "--bus", "main"], "all meters answer to 254"),
    ],
)
def test_what_cannot_be_meant_is_exit_2(
    config: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read(config, *arguments) == 2
    assert words in capsys.readouterr().err


def test_a_port_that_is_not_there_is_exit_1(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read(config, "1", "--bus", "attic") == 1
    assert "/nowhere/at/all does not exist" in capsys.readouterr().err


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    assert read(tmp_path / "nothing.yaml", "1") == 3


def test_links_to_a_port_are_that_port(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/ttyUSB0")
    assert same_port(str(tmp_path / "link"), "/dev/ttyUSB0")
    assert not same_port("socket://a:1", "socket://b:1") and same_port("socket://a:1", "socket://a:1")
