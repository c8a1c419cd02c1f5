"""``mbusgw bus-doctor`` without a gateway: in its own process, with the same parts."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbusgw.cli.main import main
from mbusgw.simulator.catalogue import build_meter
from mbusgw.simulator.meter import Fault, FaultKind
from mbusgw.simulator.segment import Segment
from tests.cli.without_gateway import written_config
from tests.simulator.wire import CLOCK, FAST, running_segment


@pytest.fixture
def segment() -> Iterator[Segment]:
    meters = [build_meter("heat", 1, clock=CLOCK), build_meter("water", 2, clock=CLOCK, baudrate=9600)]
    with running_segment(meters=meters) as segment:
        yield segment


@pytest.fixture
def config(tmp_path: Path, segment: Segment) -> Path:
    devices = "  - {id: heat, bus: main, address: 1}\n  - {id: water, bus: main, address: 2, baudrate: 9600}\n"
    return written_config(tmp_path, segment, devices)


def test_a_bus_in_order_is_said_to_be(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bus-doctor", "-c", str(config)]) == 0
    text = capsys.readouterr().out
    assert "heat" in text and "water" in text and text.rstrip().endswith("nothing is wrong")


def test_what_is_wrong_is_named_with_advice(
    config: Path, segment: Segment, capsys: pytest.CaptureFixture[str]
) -> None:
    segment.meters[1].fault = Fault(FaultKind.CHECKSUM)
    assert main(["bus-doctor", "main", "--rounds", "2", "--json", "-c", str(config)]) == 1
    document = json.loads(capsys.readouterr().out)
    heat, water = document["meters"]
    assert (heat["success_percent"], heat["requests"]) == (100.0, 3) and heat["answer_ms"]["min"] >= 0
    assert water["damaged"] == 2 and water["baudrate"] == 9600
    (finding,) = document["findings"]
    assert "water" in finding["about"] and "damaged" in finding["what"] and finding["advice"]


def test_a_bus_without_meters_is_exit_1_and_so_is_a_port_that_is_away(
    segment: Segment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bus-doctor", segment.port]) == 1
    text = capsys.readouterr().out
    assert "- bus: no meter of it is in the configuration" in text and "answer after" not in text
    assert main(["bus-doctor", "/nowhere/at/all"]) == 1
    assert "/nowhere/at/all does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("rounds", ["-1", "101"])
def test_a_number_of_rounds_that_makes_no_sense_is_refused(
    config: Path, rounds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bus-doctor", "--rounds", rounds, "-c", str(config)]) != 0
    assert "rounds is a whole number from 0 to 100" in capsys.readouterr().err


@pytest.mark.slow
def test_a_meter_that_is_told_its_speed_is_examined_at_that_speed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_segment(meters=[build_meter("water", 1, clock=CLOCK)]) as segment:
        file = tmp_path / "switching.yaml"
        file.write_text(f"""
buses: [{{name: main, port: '{segment.port}', baudrate: {FAST}, latency_ms: 200}}]
devices: [{{id: water, bus: main, address: 1, baudrate: 9600, baud_switch: true}}]
http: {{listen: '127.0.0.1:0'}}
""", encoding="utf-8")
        main(["bus-doctor", "main", "--rounds", "3", "--json", "-c", str(file)])
    (water,) = json.loads(capsys.readouterr().out)["meters"]
    assert segment.meters[0].speed(FAST) == 9600 and water["answers"] >= 3
