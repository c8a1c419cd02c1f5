"""What a householder wants otherwise with single values, and what is not believed, in Home Assistant."""
from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from tests.e2e.test_quarantine import WRONG, Whim
from tests.homeassistant.conftest import World
from tests.homeassistant.test_homeassistant import wait_for_all
from tests.wait import wait_until

pytestmark = pytest.mark.slow

WISHES = "records: {energy: {name: Heat total, factor: 10}, flow_temperature: {hidden: true}, power: {name: Now}}"


def registered(world: World, field: str) -> dict[str, Any] | None:
    """The entity of a value of ``meter_1``, as Home Assistant keeps it."""
    number = world.wired[0].identity.id
    found = [one for name, one in world.hass.entities().items() if number in name and name.endswith(f"_{field}")]
    return found[0] if found else None


def entity_id(world: World, field: str) -> str:
    one = registered(world, field)
    assert one is not None, field
    return str(one["entity_id"])


def is_named(world: World, name: str, text: str) -> Callable[[], bool]:
    """What stands beside its value; the registry learns of another name when Home Assistant starts."""
    return lambda: str(world.hass.states()[name]["attributes"]["friendly_name"]).endswith(text)


def value(world: World, name: str) -> float:
    """What an entity shows; -1 while that is no number."""
    try:
        return float(world.hass.state(name))
    except ValueError:
        return -1.0


def test_single_values_are_named_hidden_and_multiplied_and_all_is_as_before_when_that_is_taken_back(
    world: World,
) -> None:
    wait_for_all(world)
    energy, power, text = entity_id(world, "energy"), entity_id(world, "power"), world.daemon.file.read_text()
    before = {name: world.hass.states()[name]["attributes"]["friendly_name"] for name in (energy, power)}
    assert 40_000 < value(world, energy) < 100_000
    line = "{id: meter_1, bus: main, address: 1, interval: 5"
    assert line in text
    hidden = entity_id(world, "flow_temperature")
    world.daemon.file.write_text(text.replace(line, f"{line}, {WISHES}"))
    wait_until(is_named(world, energy, "Heat total"))
    wait_until(is_named(world, power, "Now"))
    wait_until(lambda: registered(world, "flow_temperature") is None)
    wait_until(lambda: value(world, energy) > 400_000)
    assert entity_id(world, "energy") == energy, "a name is no new entity"
    # Of what is hidden, statistics may have been made, which it keeps; they are made every five minutes.
    assert world.hass.ask("recorder/validate_statistics").keys() <= {hidden}

    world.daemon.file.write_text(text)
    for one in before:
        wait_until(is_named(world, one, before[one]))
    wait_until(lambda: registered(world, "flow_temperature") is not None)
    wait_until(lambda: 0 < value(world, energy) < 100_000)
    wait_for_all(world)


def test_a_value_that_is_not_believed_is_told_and_not_shown_until_it_is_released(world: World) -> None:
    wait_for_all(world)
    energy, suspects, since = entity_id(world, "energy"), entity_id(world, "quarantine"), datetime.now(timezone.utc)
    assert world.hass.state(suspects) == "0"
    whim = Whim(world.wired[0])
    whim(1)
    wait_until(lambda: world.hass.state(suspects) == "0", what="one wrong value is forgotten after the next right one")
    whim.left = 10_000
    wait_until(lambda: world.hass.state(suspects) == "1")
    [history] = world.hass.history([energy], since)
    assert history and all(float(one["state"]) > 40_000 for one in history)
    assert world.daemon.command("release", {"device": "meter_1"})[0] == 200
    wait_until(lambda: value(world, energy) == float(WRONG))
    wait_until(lambda: world.hass.state(suspects) == "0")

    whim.left = 0
    wait_until(lambda: world.hass.state(suspects) == "1", what="up from there it is not believed either")
    assert world.daemon.command("release", {"device": "meter_1"})[0] == 200
    wait_until(lambda: value(world, energy) > 40_000)
    wait_for_all(world)
