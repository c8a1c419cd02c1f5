"""The entities of a meter in Home Assistant besides its values: what is known of it, and what can be asked of it."""
from __future__ import annotations

from typing import Any

from mbusgw.model.device import DeviceState
from mbusgw.model.fields import slug
from mbusgw.model.reading import Lane
from mbusgw.model.status import BUSY
from mbusgw.mqtt.announcement import entity
from mbusgw.mqtt.controls import Controls, Live
from mbusgw.mqtt.radio import radio_entities
from mbusgw.mqtt.topics import Topics
from mbusgw.registry.counters import is_counter

_NAMES = {
    "en": {"status": "Status", "last_reading": "Last reading", "problem": "Problem",
           "polling": "Polling", "closed": "normal", "half_open": "trying again", "open": "suspended",
           "paused": "paused", "quarantine": "Quarantined values"},
    "de": {"status": "Status", "last_reading": "Letzte Ablesung", "problem": "Störung",
           "polling": "Abfrage", "closed": "normal", "half_open": "neuer Versuch", "open": "ausgesetzt",
           "paused": "angehalten", "quarantine": "Zurückgehaltene Werte"},
}
_BREAKER = ("closed", "half_open", "open", "paused")

Components = dict[str, dict[str, Any]]


class MeterEntities:
    """Builds them. **any thread**

    ``live`` knows the settings of wired meters; with ``controls`` these can be told something, too.
    """

    def __init__(self, topics: Topics, *, language: str, live: Live | None, controls: Controls | None) -> None:
        self._topics = topics
        self._words = _NAMES[language]
        self._language = language
        self._live = live
        self._controls = controls

    def first(self, state: DeviceState, root: str) -> Components:
        """What stands before the values; ``root`` is what the unique ids of the meter begin with."""
        return {
            key: self._entity(state, root, key, self._words[key], component)
            for key, component in (("status", self._status(state)), ("last_reading", self._last_reading(state)))
        }

    def last(self, state: DeviceState, root: str) -> Components:
        """What stands behind them."""
        components = self._radio(state, root) if state.radio is not None else {}
        told = {"problem": self._problem(state)}
        if any(map(is_counter, state.fields.values())):
            told["quarantine"] = self._quarantine(state)
        if state.lane is Lane.WIRED:
            told["polling"] = self._polling(state)
        for key, component in told.items():
            components[key] = self._entity(state, root, key, self._words[key], component)
        return components | self._commands(state, root)

    @staticmethod
    def _entity(state: DeviceState, root: str, key: str, name: str, component: dict[str, Any]) -> dict[str, Any]:
        return entity(f"{root}_{key}", slug(f"mbus_{state.device_id}_{name}"), name, component)

    # -------------------------------------------------- what is known of it
    def _status(self, state: DeviceState) -> dict[str, Any]:
        return {
            "platform": "binary_sensor",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": self._topics.availability(state.device_id),
            "payload_on": "online",
            "payload_off": "offline",
            # Shown as disconnected when the meter is silent, as unavailable only when the gateway is.
            "availability": [{"topic": self._topics.bridge_state}],
        }

    def _last_reading(self, state: DeviceState) -> dict[str, Any]:
        # Of an empty message (the device is forgotten) there is no value_json, which would be logged as an error.
        template = "{{ value_json.read_at if value_json is defined else None }}"
        return {**self._attribute(state, template), "device_class": "timestamp"}

    def _problem(self, state: DeviceState) -> dict[str, Any]:
        """Whether the meter says that it is not well, by its status byte; unknown where it has none."""
        flags = "value_json.get('status_flags')"
        known = f"None if value_json is not defined or {flags} is none"
        some = f"{flags} | reject('eq', '{BUSY}') | list"
        return {
            **self._attribute(state, f"{{{{ {known} else 'ON' if {some} else 'OFF' }}}}"),
            "platform": "binary_sensor",
            "device_class": "problem",
            "json_attributes_topic": self._topics.attributes(state.device_id),
            "json_attributes_template": f"{{{{ {{'flags': {flags}}} | tojson if value_json is defined else '{{}}' }}}}",
        }

    def _polling(self, state: DeviceState) -> dict[str, Any]:
        """Whether the meter is asked, or left alone for a while because it does not answer."""
        words = {breaker: self._words[breaker] for breaker in _BREAKER}
        # Not told of one that was not asked yet in this run, which is asked as usual.
        template = f"{{{{ {words}.get(value_json.breaker or 'closed') if value_json is defined else None }}}}"
        return {
            **self._attribute(state, template),
            "device_class": "enum",
            "options": list(words.values()),
            # It is of interest just when the meter is silent.
            "availability": [{"topic": self._topics.bridge_state}],
        }

    def _quarantine(self, state: DeviceState) -> dict[str, Any]:
        """How many values of the meter's counters are not believed; which ones, in its attributes."""
        suspects = "(value_json.quarantine | default({}) if value_json is defined else {})"
        return {
            **self._attribute(state, f"{{{{ {suspects} | count }}}}"),
            "icon": "mdi:shield-alert-outline",
            "json_attributes_topic": self._topics.attributes(state.device_id),
            "json_attributes_template": f"{{{{ {suspects} | tojson }}}}",
        }

    def _attribute(self, state: DeviceState, template: str) -> dict[str, Any]:
        return {
            "platform": "sensor",
            "entity_category": "diagnostic",
            "state_topic": self._topics.attributes(state.device_id),
            "value_template": template,
        }

    def _radio(self, state: DeviceState, root: str) -> Components:
        topic = {"state_topic": self._topics.attributes(state.device_id)}
        return {
            f"radio_{key}": self._entity(state, root, f"radio_{key}", name, {**topic, **component})
            for key, name, component in radio_entities(self._language)
        }

    # -------------------------------------------------- what can be asked of it
    def _commands(self, state: DeviceState, root: str) -> Components:
        settings = self._live.meter(state.device_id) if self._live is not None else None
        if state.lane is not Lane.WIRED or self._controls is None or settings is None:
            return {}
        # They are of use just when the meter is silent.
        common = {"entity_category": "config", "availability": [{"topic": self._topics.bridge_state}]}
        return {
            f"command_{key}": self._entity(state, root, f"command_{key}", name, {**common, **component})
            for key, (name, component) in self._controls.of_meter(state.device_id, settings).items()
        }
