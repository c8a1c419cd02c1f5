"""What a householder sees in Home Assistant, and that it stays through everything that is restarted."""
from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from http.client import HTTPException
from typing import Any

import pytest
import yaml

from tests.homeassistant.conftest import World
from tests.mosquitto import Mosquitto
from tests.mqtt.test_dashboard import entities
from tests.wait import wait_until

pytestmark = pytest.mark.slow

NOTHING = ("unavailable", "unknown")
#: What it says of its own connection when the broker of a test ends, of its own database when it is upgraded, and (in
#: 2025.4) of its own empty messages, one for each entity that was switched off, when a device goes.
ITS_OWN = (
    "Error returned from MQTT server",
    "The client is not currently connected",
    "recorder.migration",
    "No device components to cleanup",
)
#: How a test sets it up: without a country, with its web server's port in a file.
OF_THE_TEST = {"homeassistant", "http"}
#: Since then the energy dashboard has one entry for both directions of the grid, and knows flows and water devices.
GRID_AS_ONE = (2026, 3)
ENERGY = {"en": "energy", "de": "energie"}
WORDS = {
    "en": {"read": "read_now", "interval": "reading_interval", "pause": "paused", "polling": "polling"},
    "de": {"read": "jetzt_ablesen", "interval": "ableseintervall", "pause": "angehalten", "polling": "abfrage"},
}


def shown(world: World) -> dict[str, dict[str, Any]]:
    """What has a state at all: a button has none before it is pressed."""
    return {name: one for name, one in world.hass.states().items() if not name.startswith("button.")}


def missing(world: World) -> list[str]:
    """Entities without a value, and meters without entities."""
    states = shown(world)
    without = [name for name, one in states.items() if one["state"] in NOTHING]
    return without + [meter for meter in world.meters if f"binary_sensor.mbus_{meter}_status" not in states]


def wait_for_all(world: World) -> None:
    wait_until(lambda: not missing(world), what=lambda: f"without a value: {missing(world)}\n{world.hass.log}")


def is_shown(world: World, entity_id: str, state: str) -> Callable[[], bool]:
    return lambda: world.hass.state(entity_id) == state


def is_read_again(world: World, started_at: str) -> bool:
    """By another run than that which began at ``started_at``."""
    try:
        begun = world.daemon.get("/health")[1]["started_at"] != started_at
        devices = world.daemon.get("/state")[1]["devices"]
    except (OSError, KeyError, TypeError, HTTPException):
        return False  # it is just starting anew
    return begun and not any(one["stale"] for one in devices.values())


def retained(broker: Mosquitto) -> dict[str, Any]:
    """Every announced component by its unique id."""
    text = subprocess.run(
        ["mosquitto_sub", "-p", str(broker.port), "-t", "homeassistant/device/+/config", "-W", "2", "-F", "%p"],
        capture_output=True,
        text=True,
    ).stdout
    documents = [yaml.safe_load(line) for line in text.splitlines()]
    return {one["unique_id"]: one for document in documents for one in document["components"].values()}


def test_every_entity_is_as_it_was_announced_and_has_a_value(world: World) -> None:
    wait_for_all(world)
    announced, entities_there = retained(world.broker), world.hass.entities()
    assert set(entities_there) == set(announced)
    states = shown(world)
    for unique_id, one in announced.items():
        there = entities_there[unique_id]
        assert there["entity_id"] == one["default_entity_id"]
        assert there["original_device_class"] == one.get("device_class")
        assert (there["disabled_by"] is None) == one.get("enabled_by_default", True)
        digits = one.get("suggested_display_precision")
        if digits is not None and there["disabled_by"] is None:
            assert there["options"]["sensor"]["suggested_display_precision"] == digits
        if there["entity_id"] in states:
            attributes = states[there["entity_id"]]["attributes"]
            assert attributes.get("unit_of_measurement") == one.get("unit_of_measurement")
            assert attributes.get("state_class") == one.get("state_class")
    assert len(world.hass.devices()) == len(world.meters) + 1


def test_no_value_is_shown_with_so_few_digits_that_it_says_something_else(world: World) -> None:
    wait_for_all(world)
    states, digits_told = shown(world), 0
    for one in world.hass.entities().values():
        digits = one["options"].get("sensor", {}).get("suggested_display_precision")
        if digits is None or one["entity_id"] not in states:
            continue
        digits_told += 1
        value = float(states[one["entity_id"]]["state"])
        assert round(value, digits) == pytest.approx(value, rel=0.02), one["entity_id"]
    assert digits_told


def test_no_name_says_the_device_twice(world: World) -> None:
    wait_for_all(world)
    devices = {one["id"]: one["name"] for one in world.hass.devices()}
    for one in world.hass.entities().values():
        assert one["original_name"] and devices[one["device_id"]] not in one["original_name"]


def test_what_is_pressed_and_set_is_done(world: World) -> None:
    wait_for_all(world)
    word = WORDS[world.language]
    interval, pause = f"number.mbus_meter_1_{word['interval']}", f"switch.mbus_meter_1_{word['pause']}"
    world.hass.call("number.set_value", entity_id=interval, value=600)
    wait_until(is_shown(world, interval, "600.0"))
    world.hass.call("switch.turn_on", entity_id=pause)
    wait_until(is_shown(world, pause, "on"))
    paused = {"en": "paused", "de": "angehalten"}[world.language]
    wait_until(is_shown(world, f"sensor.mbus_meter_1_{word['polling']}", paused))

    def read_at() -> str:
        return str(world.daemon.get("/state")[1]["devices"]["meter_1"]["read_at"])

    before = read_at()
    world.hass.call("button.press", entity_id=f"button.mbus_meter_1_{word['read']}")
    wait_until(lambda: read_at() > before, what="a paused meter is read when asked for")
    world.hass.call("switch.turn_off", entity_id=pause)
    world.hass.call("number.set_value", entity_id=interval, value=5)
    wait_until(is_shown(world, interval, "5.0"))
    level = "select.mbus_gateway_log_level"
    for option in ("DEBUG", "INFO"):
        world.hass.call("select.select_option", entity_id=level, option=option)
        wait_until(is_shown(world, level, option))


@pytest.mark.parametrize("end", ["stop", "kill", "button"])
def test_a_restart_of_the_gateway_is_seen_by_nobody(world: World, end: str) -> None:
    wait_for_all(world)
    names, since = list(shown(world)), datetime.now(timezone.utc)
    started_at = world.daemon.get("/health")[1]["started_at"]
    if end == "button":
        world.hass.call("button.press", entity_id="button.mbus_gateway_restart")
    else:
        getattr(world.daemon, end)()
        world.daemon.start()
    wait_until(lambda: is_read_again(world, started_at), what="all is read again")
    for history in world.hass.history(names, since):
        gone = [one for one in history if one["state"] in NOTHING]
        assert not gone, (history[0]["entity_id"], gone)


def test_all_comes_back_with_home_assistant_also_while_the_gateway_is_away(world: World) -> None:
    wait_for_all(world)
    world.hass.stop()
    world.hass.start()
    wait_for_all(world)
    world.daemon.stop()
    world.hass.stop()
    world.hass.start()
    wait_for_all(world)
    world.daemon.start()
    wait_for_all(world)


def test_all_comes_back_when_the_broker_has_forgotten_everything(world: World) -> None:
    wait_for_all(world)
    world.broker.stop()
    wait_until(lambda: missing(world))
    world.broker.wipe()
    world.broker.start()
    wait_for_all(world)


def test_the_dashboard_is_taken_and_shows_no_entity_that_is_not_there(world: World) -> None:
    wait_for_all(world)
    command = [sys.executable, "-m", "mbusgw", "dashboard", "-c", str(world.daemon.file)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    view = yaml.safe_load(text)
    world.hass.ask("lovelace/config/save", config={"views": [view]})
    assert world.hass.ask("lovelace/config", force=True)["views"] == [view]
    assert entities(view) == set(world.hass.states())


def test_the_energy_dashboard_takes_electricity_gas_water_and_heat(world: World) -> None:
    wait_for_all(world)
    by_class = {one["attributes"].get("device_class"): name for name, one in shown(world).items()}
    heat = f"sensor.mbus_meter_1_{ENERGY[world.language]}"
    price = {"stat_cost": None, "entity_energy_price": None, "number_energy_price": None}
    bought = {"stat_energy_from": by_class["energy"], **price}
    flow: dict[str, Any] = {}
    prefs: dict[str, Any] = {}
    grid: dict[str, Any] = {"flow_from": [bought], "flow_to": []}
    if world.hass.version >= GRID_AS_ONE:
        grid = {**bought, "stat_energy_to": None, "stat_rate": by_class["power"]}
        flow = {"stat_rate": by_class["volume_flow_rate"]}
        prefs = {"device_consumption_water": [{"stat_consumption": by_class["water"], **flow}]}
    prefs["energy_sources"] = [
        {"type": "grid", **grid, "cost_adjustment_day": 0},
        *({"type": kind, "stat_energy_from": by_class[kind], **price, **flow} for kind in ("gas", "water")),
        {"type": "gas", "stat_energy_from": heat, **price},
    ]
    world.hass.ask("energy/save_prefs", **prefs)
    verdicts = [verdict for part in world.hass.ask("energy/validate").values() for verdict in part]
    # Statistics are made every five minutes: there may be none yet.
    assert len(verdicts) >= 4
    assert {problem["type"] for verdict in verdicts for problem in verdict} <= {"statistics_not_defined"}


def test_the_statistics_have_nothing_to_complain_of(world: World) -> None:
    wait_for_all(world)
    counters = [name for name, one in shown(world).items() if one["attributes"].get("state_class")]
    known = {one["statistic_id"] for one in world.hass.ask("recorder/list_statistic_ids")}
    assert set(counters) <= known
    assert world.hass.ask("recorder/validate_statistics") == {}


def complaints(world: World) -> list[str]:
    """What its log and its page of repairs say of us."""
    ours = re.compile(r"(WARNING|ERROR).*(mqtt|sensor|recorder|mbus)", re.IGNORECASE)
    lines = [line for line in world.hass.log.splitlines() if ours.search(line)]
    issues = world.hass.ask("repairs/list_issues")["issues"]
    return [line for line in lines if not any(text in line for text in ITS_OWN)] + [
        str(one) for one in issues if one["domain"] not in OF_THE_TEST
    ]


def test_it_has_nothing_to_complain_of(world: World) -> None:
    wait_for_all(world)
    assert complaints(world) == []
