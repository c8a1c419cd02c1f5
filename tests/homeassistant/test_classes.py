"""Every pair of our table of device classes, shown to a real Home Assistant."""
from __future__ import annotations

import json
from typing import Any

import pytest

from mbusgw.model.classes import SENSOR_CLASSES
from tests.homeassistant.conftest import World
from tests.homeassistant.test_homeassistant import NOTHING
from tests.mosquitto import subscribed
from tests.wait import wait_until

pytestmark = pytest.mark.slow

CONFIG = "homeassistant/device/every_pair/config"
VALUES = {"date": "2026-01-31", "timestamp": "2026-01-31T12:00:00+01:00", "enum": "one"}


def every_pair(since: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """An entity for each class, unit and state class that Home Assistant ``since`` then is said to take."""
    components: dict[str, dict[str, Any]] = {}
    for name, one in SENSOR_CLASSES.items():
        for unit in sorted(one.units) if one.since <= since else ():
            for state_class in sorted(one.state_classes) or [""]:
                unique_id = f"every_pair_{len(components)}"
                keys: dict[str, Any] = {"unit_of_measurement": unit, "state_class": state_class}
                if name == "enum":
                    keys["options"] = ["one", "two"]
                components[unique_id] = {
                    "platform": "sensor",
                    "unique_id": unique_id,
                    "default_entity_id": f"sensor.{unique_id}",
                    "object_id": unique_id,
                    "name": unique_id,
                    "device_class": name,
                    "state_topic": f"pairs/{name if name in VALUES else 'number'}",
                    **{key: value for key, value in keys.items() if value},
                }
    return components


def test_every_pair_of_the_table_is_taken_and_shown(world: World) -> None:
    pairs = every_pair(world.hass.version)
    device = {"identifiers": ["every_pair"], "name": "Every pair"}
    document = {"device": device, "origin": {"name": "test"}, "components": pairs}

    def without_value() -> list[str]:
        states = world.hass.states()
        return [one for one in pairs if states.get(f"sensor.{one}", {"state": NOTHING[0]})["state"] in NOTHING]

    with subscribed(world.broker.port, CONFIG) as anybody:
        for kind, value in {**VALUES, "number": "1"}.items():
            anybody.publish(f"pairs/{kind}", value, retain=True)
        anybody.publish(CONFIG, json.dumps(document), retain=True)
        wait_until(lambda: not without_value(), what=lambda: f"{without_value()}\n{world.hass.log}")
        states = world.hass.states()
        for unique_id, one in pairs.items():
            shown = states[f"sensor.{unique_id}"]["attributes"]
            assert shown["device_class"] == one["device_class"]
            # It shows ft³ as m³ where it is told to be metric.
            assert ("unit_of_measurement" in shown) == ("unit_of_measurement" in one)
            assert shown.get("state_class") == one.get("state_class")
        anybody.publish(CONFIG, "", retain=True)
        for kind in (*VALUES, "number"):
            anybody.publish(f"pairs/{kind}", "", retain=True)
        wait_until(lambda: not pairs.keys() & world.hass.entities().keys())
        wait_until(lambda: all(one["name"] != device["name"] for one in world.hass.devices()))
