"""What Home Assistant can change, and what it is told of that."""
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from mbusgw.config.models import LOG_LEVELS
from mbusgw.model.reading import Lane
from mbusgw.model.settings import MeterSettings
from mbusgw.mqtt.controls import gateway_message, settings_messages
from mbusgw.mqtt.discovery import Discovery
from mbusgw.mqtt.rules import obey
from tests.mqtt.house import TOPICS
from tests.mqtt.test_discovery import meter


@dataclass
class Now:
    """What is in force."""

    settings: dict[str, MeterSettings] = field(default_factory=lambda: {"meter_1": MeterSettings(60.0, False, True)})
    level: str = "INFO"

    def meters(self) -> Mapping[str, MeterSettings]:
        return self.settings

    def meter(self, device_id: str) -> MeterSettings | None:
        return self.settings.get(device_id)

    def buses(self) -> list[str]:
        return ["main", "attic.2"]


def discovery(language: str = "en", *, live: Now | None = None, commands: bool = True) -> Discovery:
    return Discovery(
        TOPICS, gateway_id="mbusgw", language=language, expire_after_s=300, live=live or Now(), commands=commands
    )


def of_meter(**options: Any) -> dict[str, Any]:
    announcement = discovery(**options).meter(meter())
    assert announcement is not None
    return dict(json.loads(announcement.payload)["components"])


def of_gateway(**options: Any) -> dict[str, Any]:
    return dict(json.loads(discovery(**options).gateway().payload)["components"])


def test_a_wired_meter_is_read_paused_and_timed_from_home_assistant() -> None:
    components = of_meter()
    read, interval, pause = (components[f"command_{key}"] for key in ("read", "interval", "pause"))
    assert read["command_topic"] == "mbus/bridge/request/read"
    assert json.loads(read["payload_press"]) == {"device": "meter_1"}
    assert interval["command_topic"] == pause["command_topic"] == "mbus/bridge/request/set"
    asked = interval["command_template"].replace("{{ value }}", "25.0")
    assert json.loads(asked) == {"device": "meter_1", "interval": 25.0}
    assert json.loads(pause["payload_on"]) == {"device": "meter_1", "paused": True}
    assert interval["state_topic"] == pause["state_topic"] == "mbus/meter_1/settings"
    for one in (read, interval, pause):
        assert one["availability"] == [{"topic": "mbus/bridge/state"}], "of use just when the meter is silent"
        assert one["entity_category"] == "config"


def test_the_gateway_shows_its_buses_and_takes_orders() -> None:
    components = of_gateway()
    assert components["bus_main"]["device_class"] == "connectivity"
    assert json.loads(components["scan_attic.2"]["payload_press"]) == {"bus": "attic.2"}
    assert components["restart"]["command_topic"] == "mbus/bridge/request/restart"
    assert components["rediscover"]["payload_press"] == "{}"
    assert components["log_level"]["options"] == list(LOG_LEVELS)
    asked = components["log_level"]["command_template"].replace("{{ value }}", "DEBUG")
    assert json.loads(asked) == {"log_level": "DEBUG"}
    assert {"waiting", "online", "last_error", "uptime", "status"} < components.keys()


def test_without_commands_only_what_shows_is_left() -> None:
    platforms = {one["platform"] for one in [*of_meter(commands=False).values(), *of_gateway(commands=False).values()]}
    assert platforms == {"sensor", "binary_sensor"}
    assert "bus_main" in of_gateway(commands=False)


def test_a_meter_of_the_other_lane_or_of_no_bus_has_nothing_to_command() -> None:
    announcement = discovery().meter(meter(lane=Lane.WIRELESS))
    assert announcement is not None and "command_read" not in json.loads(announcement.payload)["components"]
    live = Now(settings={})
    assert "command_read" not in of_meter(live=live)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("interval_s", [None, 0.25, 60.0, 86400.0 * 60])
def test_every_entity_keeps_to_the_rules_of_home_assistant(language: str, interval_s: float | None) -> None:
    live = Now(settings={"meter_1": MeterSettings(interval_s, False, True)})
    for components in (of_meter(language=language, live=live), of_gateway(language=language, live=live)):
        assert obey(components) == (components, [])
        assert len({one["unique_id"] for one in components.values()}) == len(components)
        assert len({one["default_entity_id"] for one in components.values()}) == len(components)
    number = of_meter(live=live)["command_interval"]
    assert number["min"] <= (interval_s or 1) <= number["max"]


def test_names_are_those_of_the_language() -> None:
    assert of_meter()["command_read"]["name"] == "Read now"
    assert of_meter(language="de")["command_read"]["name"] == "Jetzt ablesen"
    assert of_gateway(language="de")["scan_main"]["name"] == "Bus main durchsuchen"


def test_what_is_in_force_is_retained() -> None:
    live = Now(settings={"meter_1": MeterSettings(15.5, True, False)}, level="DEBUG")
    (message,) = settings_messages(TOPICS, live, ["meter_1", "els_12345678"])
    assert (message.topic, json.loads(message.payload)) == (
        "mbus/meter_1/settings", {"interval_s": 15.5, "paused": True}
    )  # fmt: skip
    told = gateway_message(TOPICS, live)
    assert (told.topic, json.loads(told.payload)) == ("mbus/bridge/settings", {"log_level": "DEBUG"})
    assert message.retain and told.retain


def test_every_request_of_an_entity_names_a_command() -> None:
    known = {"read", "set", "scan", "rediscover", "restart"}
    topics = [one.get("command_topic") for part in (of_meter(), of_gateway()) for one in part.values()]
    assert {topic.removeprefix("mbus/bridge/request/") for topic in topics if topic} == known
