"""What Home Assistant can change: buttons, switches, numbers, and the topics that tell what is in force.

They publish plain requests (``mqtt.commands``), so each is a row of the table of commands and nothing more.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Protocol

from mbusgw.config.models import LOG_LEVELS
from mbusgw.model.settings import MeterSettings
from mbusgw.mqtt.topics import Topics
from mbusgw.runtime import exactjson
from mbusgw.store.outbox import Message

#: What the number of an interval can be set to, unless the file says more or less.
INTERVAL_MIN_S, INTERVAL_MAX_S = 1, 31 * 86400

_NAMES = {
    "en": {
        "read": "Read now", "interval": "Reading interval", "pause": "Paused", "scan": "Search bus {}",
        "rediscover": "Announce everything anew", "restart": "Restart", "log_level": "Log level",
    },
    "de": {
        "read": "Jetzt ablesen", "interval": "Ableseintervall", "pause": "Angehalten", "scan": "Bus {} durchsuchen",
        "rediscover": "Alles neu ankündigen", "restart": "Neu starten", "log_level": "Protokollstufe",
    },
}  # fmt: skip


class Live(Protocol):
    """What is in force just now. **any thread**"""

    def meters(self) -> Mapping[str, MeterSettings]:
        """Of every wired meter."""

    def meter(self, device_id: str) -> MeterSettings | None:
        """Of one; None for one that is not wired."""

    def buses(self) -> Sequence[str]:
        """The names of the buses."""

    @property
    def level(self) -> str:
        """How much is logged."""


class Controls:
    """Builds the entities that command, as (name, component) by key; ids are the caller's. **any thread**"""

    def __init__(self, topics: Topics, language: str) -> None:
        self._topics = topics
        self._words = _NAMES[language]

    # -------------------------------------------------- entities
    def of_meter(self, device_id: str, settings: MeterSettings) -> dict[str, tuple[str, dict[str, Any]]]:
        """Reading a wired meter now, its interval, its pause."""
        interval_s = settings.interval_s or INTERVAL_MIN_S
        device = exactjson.dumps(device_id)
        return {
            "read": (self._words["read"], self._button("read", {"device": device_id}, icon="mdi:refresh")),
            "interval": (
                self._words["interval"],
                {
                    "platform": "number",
                    "command_topic": self._topics.request("set"),
                    "command_template": f'{{"device": {device}, "interval": {{{{ value }}}}}}',
                    "state_topic": self._topics.settings(device_id),
                    "value_template": "{{ value_json.interval_s if value_json is defined else None }}",
                    "min": min(INTERVAL_MIN_S, interval_s),
                    "max": max(INTERVAL_MAX_S, ceil(interval_s)),
                    "step": 1,
                    "mode": "box",
                    "device_class": "duration",
                    "unit_of_measurement": "s",
                },
            ),
            "pause": (
                self._words["pause"],
                {
                    "platform": "switch",
                    "command_topic": self._topics.request("set"),
                    "payload_on": exactjson.dumps({"device": device_id, "paused": True}),
                    "payload_off": exactjson.dumps({"device": device_id, "paused": False}),
                    "state_topic": self._topics.settings(device_id),
                    "value_template": "{{ 'ON' if value_json is defined and value_json.paused else 'OFF' }}",
                    "state_on": "ON",
                    "state_off": "OFF",
                    "icon": "mdi:pause-circle-outline",
                },
            ),
        }

    def of_gateway(self, buses: Sequence[str]) -> dict[str, tuple[str, dict[str, Any]]]:
        """Searching the buses, telling all anew, a new start, how much is logged."""
        scans = {
            f"scan_{bus}": (self._words["scan"].format(bus), self._button("scan", {"bus": bus}, icon="mdi:radar"))
            for bus in buses
        }
        return {
            **scans,
            "rediscover": (self._words["rediscover"], self._button("rediscover", {}, icon="mdi:bullhorn-outline")),
            "restart": (self._words["restart"], self._button("restart", {}, device_class="restart")),
            "log_level": (
                self._words["log_level"],
                {
                    "platform": "select",
                    "command_topic": self._topics.request("set"),
                    "command_template": '{"log_level": "{{ value }}"}',
                    "state_topic": self._topics.bridge_settings,
                    "value_template": "{{ value_json.log_level }}",
                    "options": list(LOG_LEVELS),
                    "icon": "mdi:text-box-outline",
                },
            ),
        }

    def _button(self, command: str, request: Mapping[str, Any], **look: str) -> dict[str, Any]:
        return {
            "platform": "button",
            "command_topic": self._topics.request(command),
            "payload_press": exactjson.dumps(request),
            **look,
        }


def settings_messages(topics: Topics, live: Live, device_ids: Sequence[str]) -> list[Message]:
    """What is in force, retained, so that what commands also shows the truth. **any thread**"""
    messages = []
    for device_id in device_ids:
        settings = live.meter(device_id)
        if settings is not None:
            document = {"interval_s": settings.interval_s, "paused": settings.paused}
            messages.append(Message(topics.settings(device_id), exactjson.dumps(document), retain=True))
    return messages


def gateway_message(topics: Topics, live: Live) -> Message:
    """The same of the gateway. **any thread**"""
    return Message(topics.bridge_settings, exactjson.dumps({"log_level": live.level}), retain=True)
