"""What may be said of single records, and what is wrong with it, with line and key."""
from __future__ import annotations

from decimal import Decimal

import pytest

from mbusgw.config.loader import loads
from mbusgw.model.wishes import RecordWish
from tests.config.refusals import only

HEAD = """\
buses: [{name: main, port: /dev/ttyUSB0}]
devices:
  - id: meter_1
    bus: main
    address: 1
    records:
"""


def test_wired_and_radio_meters_have_records_and_an_area() -> None:
    config = loads(
        HEAD
        + "      energy: {name: Heat, factor: 1e1, device_class: none}\n"
        + '      "*_storage_*": {hidden: true}\n'
        + "  - {id: water, radio: els_12345678, area: Kitchen, records: {volume: {factor: 0.1}}}\n",
        {},
    )
    wired, radio = (device.wishes for device in config.devices)
    assert wired.area is None and radio.area == "Kitchen"
    assert wired.records.of("energy") == RecordWish(name="Heat", factor=Decimal(10), device_class="")
    assert wired.records.of("energy_storage_3") == RecordWish(hidden=True)
    assert radio.records.of("volume") == RecordWish(factor=Decimal("0.1"))


@pytest.mark.parametrize(
    ("line", "key", "says"),
    [
        ("volume: {device_class: energy}", "volume.device_class", "energy does not go with m³"),
        ("energy: {unit: m3, device_class: energy}", "energy.device_class", "energy does not go with m3"),
        ('"*": {unit: m³, device_class: energy}', "*.device_class", "energy does not go with m³"),
        ("energy_tariff_2: {device_class: water}", "energy_tariff_2.device_class", "water does not go with"),
        ("power: {device_class: power, state_class: total}", "power.state_class", "total does not go with power"),
        ("energy: {device_class: heat}", "energy.device_class", "must be a device class"),
        ("energy: {state_class: sum}", "energy.state_class", "must be one of measurement"),
        ("energy: {factor: 0}", "energy.factor", "must be a number above 0"),
        ("energy: {factor: -1}", "energy.factor", "must be a number above 0"),
        ("energy: {factor: yes}", "energy.factor", "must be a number above 0"),
        ("energy: {factor: ten}", "energy.factor", "must be a number above 0"),
        ("energy: {factor: .nan}", "energy.factor", "must be a number above 0"),
        ("energy: {factor: 1e99}", "energy.factor", "must be a number above 0"),
        ("energy: {faktor: 10}", "energy.faktor", ""),
        ("Energy: {factor: 10}", "Energy", ""),
        ('energy: {name: ""}', "energy.name", ""),
        ("energy: 10", "energy", ""),
    ],
)
def test_what_is_wrong_is_told_with_line_and_key(line: str, key: str, says: str) -> None:
    problem = only(f"{HEAD}      {line}\n")
    assert problem.line == 7 and problem.key == f"devices[0].records.{key}"
    assert says in problem.message


@pytest.mark.parametrize(
    "line",
    [
        "volume: {device_class: gas}",
        "volume_per_hour: {device_class: volume_flow_rate}",
        "dimensionless: {unit: m³, device_class: water}",
        "energy: {device_class: none, state_class: none}",
        "co2: {unit: ppm, device_class: carbon_dioxide}",
        "temperature_difference: {device_class: temperature_delta}",
        "reactive_energy: {device_class: reactive_energy}",
        "power: {factor: 0.000001, unit: MW, device_class: power}",
    ],
)
def test_what_home_assistant_takes_is_right(line: str) -> None:
    assert loads(f"{HEAD}      {line}\n", {}).devices[0].records
