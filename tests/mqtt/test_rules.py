"""What Home Assistant would refuse is left out before it is sent."""
from __future__ import annotations

import logging
from typing import Any

import pytest

from mbusgw.model.classes import SENSOR_CLASSES, STATE_CLASSES
from mbusgw.mqtt.announcement import Scribe
from mbusgw.mqtt.quantities import LOOKS
from mbusgw.mqtt.rules import obey
from mbusgw.runtime import exactjson


def sensor(**keys: Any) -> dict[str, Any]:
    return {"platform": "sensor", "unique_id": "u", "state_topic": "t", **keys}


def obeyed(component: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    kept, broken = obey({"one": component})
    return kept.get("one"), broken


@pytest.mark.parametrize(
    "good",
    [
        sensor(device_class="energy", state_class="total_increasing", unit_of_measurement="kWh", expire_after=300),
        sensor(device_class="timestamp", entity_category="diagnostic"),
        sensor(device_class="enum", options=["a", "b"]),
        sensor(state_class="measurement", unit_of_measurement="K"),
        sensor(),
        {"platform": "binary_sensor", "unique_id": "u", "state_topic": "t", "device_class": "connectivity"},
        {"platform": "button", "unique_id": "u", "command_topic": "t", "device_class": "restart",
         "entity_category": "config"},
        {"platform": "number", "unique_id": "u", "command_topic": "t", "min": 1, "max": 5, "step": 1,
         "device_class": "duration", "unit_of_measurement": "s"},
        {"platform": "select", "unique_id": "u", "command_topic": "t", "options": ["a"]},
        {"platform": "switch", "unique_id": "u", "command_topic": "t"},
    ],
)  # fmt: skip
def test_what_is_legal_stays_as_it_is(good: dict[str, Any]) -> None:
    assert obeyed(good) == (good, [])


@pytest.mark.parametrize(
    ("component", "lost"),
    [
        (sensor(device_class="energy", unit_of_measurement="m³", state_class="total"), "device_class"),
        (sensor(device_class="energy", state_class="total"), "device_class"),
        (sensor(device_class="flux", unit_of_measurement="W"), "device_class"),
        (sensor(device_class="energy", unit_of_measurement="kWh", state_class="measurement"), "device_class"),
        (sensor(device_class="battery", unit_of_measurement="d"), "device_class"),
        (sensor(device_class="timestamp", state_class="measurement"), "state_class"),
        (sensor(state_class="growing"), "state_class"),
        (sensor(entity_category="config"), "entity_category"),
        (sensor(device_class="enum"), "device_class"),
        (sensor(options=["a"]), "options"),
        ({"platform": "button", "unique_id": "u", "command_topic": "t", "device_class": "energy"}, "device_class"),
        ({"platform": "number", "unique_id": "u", "command_topic": "t", "device_class": "duration"}, "device_class"),
    ],
)
def test_what_breaks_a_rule_loses_only_that(component: dict[str, Any], lost: str) -> None:
    kept, broken = obeyed(component)
    assert kept == {key: value for key, value in component.items() if key != lost}
    assert len(broken) == 1 and lost in broken[0]


@pytest.mark.parametrize(
    "hopeless",
    [
        {"unique_id": "u", "state_topic": "t"},
        {"platform": "sensors", "unique_id": "u", "state_topic": "t"},
        {"platform": "sensor", "state_topic": "t"},
        {"platform": "sensor", "unique_id": 5, "state_topic": "t"},
        {"platform": "sensor", "unique_id": "u"},
        {"platform": "button", "unique_id": "u"},
        {"platform": "select", "unique_id": "u", "command_topic": "t"},
        {"platform": "number", "unique_id": "u", "command_topic": "t", "min": 5, "max": 1},
        {"platform": "number", "unique_id": "u", "command_topic": "t", "step": 0.0001},
    ],
)
def test_an_entity_for_which_all_would_be_refused_goes_alone(hopeless: dict[str, Any]) -> None:
    kept, broken = obey({"bad": hopeless, "good": sensor(unique_id="g")})
    assert set(kept) == {"good"} and len(broken) == 1


def test_of_two_entities_of_one_unique_id_the_first_stays() -> None:
    kept, broken = obey({"one": sensor(), "two": sensor(), "three": {**sensor(), "platform": "binary_sensor"}})
    assert set(kept) == {"one", "three"} and len(broken) == 1


def test_a_broken_rule_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    scribe = Scribe()
    document = {"device": {}, "components": {"x": sensor(device_class="energy", unit_of_measurement="m³")}}
    with caplog.at_level(logging.WARNING):
        written = [scribe.write("t", "meter_1", document) for _ in range(3)]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "meter_1" in caplog.text and "m³" in caplog.text
    assert "device_class" not in exactjson.loads(written[0].payload)["components"]["x"]
    assert exactjson.loads(written[0].payload)["origin"]["name"] == "mbusgw"


def test_every_class_has_units_and_known_state_classes() -> None:
    for one in SENSOR_CLASSES.values():
        assert one.units and one.state_classes <= STATE_CLASSES


def test_every_look_has_a_class_that_goes_with_its_state_class() -> None:
    for slug, shown in LOOKS.items():
        if shown.device_class is not None:
            allowed = SENSOR_CLASSES[shown.device_class].state_classes
            assert shown.state_class is None or shown.state_class in allowed, slug
