"""Meters described in a file."""
from __future__ import annotations

from pathlib import Path

import pytest

from mbusgw.cli.simulate_meters import read_meters
from mbusgw.model.errors import MbusgwError
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.meter import SimulatedMeter
from tests.simulator.wire import CLOCK


def read(folder: Path, text: str) -> list[SimulatedMeter]:
    file = folder / "meters.yaml"
    file.write_text(text)
    return read_meters(file, clock=CLOCK)


def test_meters_are_what_the_file_says(tmp_path: Path) -> None:
    meters = read(tmp_path, """
meters:
  - {kind: heat, address: 1}
  - {kind: water, address: 1, id: "12345678", manufacturer: els, version: 7, medium: 6, delay: 0.1}
  - {kind: heat, count: 3, id: "60000010", telegrams: 2}
  - {kind: gas, address: 5, baudrate: 300, faults: ["checksum:p=0.1", "late:2.0"]}
""")
    assert [meter.address for meter in meters] == [1, 1, 0, 0, 0, 5]
    assert [meter.identity.id for meter in meters[1:5]] == ["12345678", "60000010", "60000011", "60000012"]
    assert str(meters[1].secondary_address) == "1234567893150706" and meters[1].answer_delay_s == 0.1
    assert meters[5].speed(2400) == 300
    assert meters[5].faults == (Fault(FaultKind.CHECKSUM, probability=0.1), Fault(FaultKind.LATE, delay_s=2.0))


def test_a_file_that_is_not_there_is_named_with_the_option_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(MbusgwError, match="none.yaml: there is no such file .name another one with --meters-file FILE"):
        read_meters(tmp_path / "none.yaml", clock=CLOCK)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("meters: []", "expected `meters:`"),
        ("- 1", "expected `meters:`"),
        ("meters: [heat]", "meter 1: expected a mapping"),
        ("meters: [{kind: heat}, {kind: steam}]", "meter 2: no such kind: 'steam'"),
        ("meters: [{adress: 1}]", "no such key: 'adress'"),
        ("meters: [{address: 251}]", "address: expected a whole number from 0 to 250"),
        ("meters: [{address: 250, count: 2}]", "beyond 250"),
        ("meters: [{id: 12345}]", "8 hex digits"),
        ("meters: [{manufacturer: elster}]", "three letters"),
        ("meters: [{faults: tired}]", "no such fault: 'tired'"),
        ("meters: [{delay: soon}]", "soon"),
    ],
)
def test_a_wrong_description_is_explained(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MbusgwError, match=message):
        read(tmp_path, text)
