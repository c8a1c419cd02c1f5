"""Radio meters among the devices."""
from __future__ import annotations

import pytest

from mbusgw.config.difference import IN_PLACE, changed_keys
from mbusgw.config.loader import loads
from tests.config.refusals import problems

BOTH = """
buses: [{name: main, port: /dev/ttyUSB0}]
devices:
  - {id: meter_1, bus: main, address: 1}
  - {id: water, radio: ELS 12345678, name: Water kitchen}
  - {id: neighbour, radio: tch_87654321, hidden: true}
"""


def test_devices_are_on_a_bus_or_heard() -> None:
    config = loads(BOTH, {})
    assert [device.id for device in config.wired_devices] == ["meter_1"]
    assert [(device.id, device.radio, device.hidden) for device in config.radio_devices] == [
        ("water", "els_12345678", False),
        ("neighbour", "tch_87654321", True),
    ]


@pytest.mark.parametrize(
    "entry, said",
    [
        ("{id: water, radio: '12345678'}", "such as els_12345678"),
        ("{id: water, radio: els_12345678, adress: 1}", "unknown key"),
        ("{id: water, radio: els_12345678, bus: main}", "unknown key"),
        ("{radio: els_12345678}", "id"),
        ("{id: water, radio: els_12345678, gateways: []}", "gateways"),
        ("{id: water, radio: els_12345678, gateways: gw1}", "gateways"),
        ("{id: water, radio: els_12345678, gateways: [gw1, 'a/b']}", "becomes part of a topic"),
        ("{id: meter_1, radio: els_12345678}", "is the same as that of devices[0]"),
        ("{id: Water, radio: els_12345678}", "lower-case"),
        ("{id: water, name: Water}", "bus"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_key(entry: str, said: str) -> None:
    text = f"buses: [{{name: main, port: /dev/x}}]\ndevices:\n  - {{id: meter_1, bus: main, address: 1}}\n  - {entry}\n"
    found = [str(problem) for problem in problems(text)]
    assert any(said in problem for problem in found), found
    assert all(":4" in problem and "[radio]" not in problem and "[wired]" not in problem for problem in found)


def test_one_meter_cannot_be_two_devices() -> None:
    text = "devices: [{id: a, radio: els_12345678}, {id: b, radio: els_12345678}]"
    assert any("devices[0]" in str(problem) for problem in problems(text))


def test_another_name_of_a_radio_meter_needs_a_new_start_and_leaves_wired_ones_alone() -> None:
    before = loads(BOTH, {})
    after = loads(BOTH.replace("Water kitchen", "Water bath"), {})
    assert changed_keys(before, after) == {"devices (radio)"} and not changed_keys(before, after) & IN_PLACE
    moved = loads(BOTH.replace("address: 1", "address: 2"), {})
    assert changed_keys(before, moved) == {"devices"}


def test_a_meter_may_be_restricted_to_some_gateways_and_that_needs_a_new_start_too() -> None:
    before = loads(BOTH.replace("radio: ELS 12345678", "radio: ELS 12345678, gateways: [attic, cellar]"), {})
    assert before.radio_devices[0].gateways == ("attic", "cellar") and before.radio_devices[1].gateways is None
    assert changed_keys(before, loads(BOTH, {})) == {"devices (radio)"}
