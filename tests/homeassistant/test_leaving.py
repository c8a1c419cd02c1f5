"""A meter that is taken out of the configuration, and one that comes back, in Home Assistant."""
from __future__ import annotations

import pytest

from tests.homeassistant.conftest import World
from tests.homeassistant.test_homeassistant import wait_for_all
from tests.wait import wait_until

pytestmark = pytest.mark.slow


def of_meter_2(world: World) -> dict[str, tuple[str, bool]]:
    """Unique id → entity id, and whether it is switched on, of all that the registry has of it."""
    return {
        unique_id: (one["entity_id"], one["disabled_by"] is None)
        for unique_id, one in world.hass.entities().items()
        if "mbus_meter_2_" in one["entity_id"]
    }


def test_a_meter_that_is_taken_out_leaves_nothing_behind_and_is_as_before_when_it_is_back(world: World) -> None:
    wait_for_all(world)
    before, devices, text = of_meter_2(world), len(world.hass.devices()), world.daemon.file.read_text()
    assert {switched_on for _, switched_on in before.values()} == {True, False}
    line = "  - {id: meter_2, bus: main, address: 2, interval: 5}\n"
    assert line in text
    world.daemon.file.write_text(text.replace(line, ""))
    wait_until(lambda: not of_meter_2(world), what=lambda: f"left behind: {of_meter_2(world)}")
    wait_until(lambda: len(world.hass.devices()) == devices - 1)

    world.daemon.file.write_text(text)
    wait_for_all(world)
    wait_until(lambda: of_meter_2(world) == before)
