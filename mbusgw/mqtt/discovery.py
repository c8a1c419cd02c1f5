"""Home Assistant's device discovery: one retained document per meter, one for the gateway.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""
from __future__ import annotations

from typing import Any

from mbusgw.model.device import DeviceState
from mbusgw.model.fields import slug
from mbusgw.model.reading import Field, Lane
from mbusgw.mqtt.announcement import Announcement, Scribe, entity_id, object_id
from mbusgw.mqtt.controls import Controls, Live
from mbusgw.mqtt.gateway_entities import GatewayEntities, gateway_root
from mbusgw.mqtt.quantities import Look, entity_name, look
from mbusgw.mqtt.radio import expiry_s, radio_entities
from mbusgw.mqtt.topics import Topics
from mbusgw.mqtt.words import device_kind
from mbusgw.registry.counters import is_counter

_NAMES = {
    "en": {"status": "Status", "last_reading": "Last reading", "polling": "Polling", "closed": "normal",
           "half_open": "trying again", "open": "suspended", "paused": "paused",
           "quarantine": "Quarantined values"},
    "de": {"status": "Status", "last_reading": "Letzte Ablesung", "polling": "Abfrage", "closed": "normal",
           "half_open": "neuer Versuch", "open": "ausgesetzt", "paused": "angehalten",
           "quarantine": "Zurückgehaltene Werte"},
}
_BREAKER = ("closed", "half_open", "open", "paused")


class Discovery:
    """Builds the documents. **any thread**

    Unique ids come from who the meter is and what the record means, never from a name, an
    address or a position, so that Home Assistant keeps its history over all of those.
    """

    def __init__(
        self,
        topics: Topics,
        *,
        gateway_id: str,
        language: str,
        expire_after_s: float,
        live: Live | None = None,
        commands: bool = False,
    ) -> None:
        self._topics = topics
        self._gateway_id = gateway_id
        self._words = _NAMES[language]
        self._language = language
        self._expire_after_s = expire_after_s
        self._scribe = Scribe()
        self._live = live
        self._controls = Controls(topics, language) if commands else None
        self._gateway = GatewayEntities(
            topics, gateway_id=gateway_id, language=language, live=live, controls=self._controls
        )

    def gateway(self) -> Announcement:
        """The announcement of the gateway itself."""
        root = gateway_root(self._gateway_id)
        return self._scribe.write(self._topics.discovery(root), "", self._gateway.document())

    # -------------------------------------------------- a meter
    def meter(self, state: DeviceState, *, interval_s: float | None = None) -> Announcement | None:
        """The announcement of one meter; None of a hidden one, and while it has not said who it is."""
        if state.read_at is None or state.hidden:
            return None
        root = self._root(state)
        expire_after_s = self.expire_after_s(state, interval_s)
        components = {"status": self._status(state, root), "last_reading": self._last_reading(state, root)}
        # An entity keeps the id that it was made with; one made of a name that was changed since would name another.
        ids, names = self._names(state, wished=False), self._names(state, wished=True)
        for field in _shown(state):
            components[field.name] = {
                **entity_id("sensor", self._entity_slug(state, ids[field.name])),
                "name": names[field.name],
                **self._sensor(state, field, root, int(expire_after_s)),
            }
        if state.radio is not None:
            components |= self._radio(state, root)
        if any(map(is_counter, state.fields.values())):
            components["quarantine"] = self._quarantine(state, root)
        if state.lane is Lane.WIRED:
            components["polling"] = self._polling(state, root)
            components |= self._commands(state, root)
        document = {
            "device": self._device(state, root),
            "availability": [
                {"topic": self._topics.bridge_state},
                {"topic": self._topics.availability(state.device_id)},
            ],
            "availability_mode": "all",
            "components": components,
        }
        return self._scribe.write(self.topic(state), state.device_id, document)

    def topic(self, state: DeviceState) -> str:
        """Where a meter is announced."""
        return self._topics.discovery(self._root(state))

    def expire_after_s(self, state: DeviceState, interval_s: float | None = None) -> float:
        """For how long a meter's values are shown without news; ``interval_s`` is that of a wired one."""
        first_s = max(self._expire_after_s, 3 * (interval_s or 0))
        return first_s if state.radio is None else expiry_s(state.radio, first_s)

    def _root(self, state: DeviceState) -> str:
        meter = state.meter
        if meter is None or meter.manufacturer is None:
            # No identity on the wire (CI 78, fixed structure): the configured id is all there is.
            number = meter.id if meter else state.device_id
            return object_id(f"mbusgw_{self._gateway_id}_{number}")
        return object_id(f"mbusgw_{meter.manufacturer}_{meter.id}_{meter.version}_{meter.medium}")

    def _device(self, state: DeviceState, root: str) -> dict[str, Any]:
        meter = state.meter
        device: dict[str, Any] = {
            "identifiers": [root],
            "name": self._device_name(state),
            "via_device": gateway_root(self._gateway_id),
        }
        if state.wishes.area is not None:
            device["suggested_area"] = state.wishes.area
        if meter is not None:
            if meter.manufacturer:
                device["manufacturer"] = meter.manufacturer
            device["model"] = device_kind(meter.medium, self._language)
            device["serial_number"] = meter.id
            if meter.version is not None:
                device["hw_version"] = str(meter.version)
        firmware = state.fields.get("firmware_version")
        if firmware is not None and firmware.value is not None:
            device["sw_version"] = str(firmware.value)
        return device

    def _device_name(self, state: DeviceState) -> str:
        meter = state.meter
        if state.name != state.device_id or meter is None:
            return state.name
        return f"{meter.manufacturer or 'M-Bus'} {meter.id} {device_kind(meter.medium, self._language)}"

    def _status(self, state: DeviceState, root: str) -> dict[str, Any]:
        return {
            "platform": "binary_sensor",
            "unique_id": f"{root}_status",
            **entity_id("binary_sensor", self._entity_slug(state, "status")),
            "name": self._words["status"],
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": self._topics.availability(state.device_id),
            "payload_on": "online",
            "payload_off": "offline",
            # Shown as disconnected when the meter is silent, as unavailable only when the gateway is.
            "availability": [{"topic": self._topics.bridge_state}],
        }

    def _last_reading(self, state: DeviceState, root: str) -> dict[str, Any]:
        return {
            "platform": "sensor",
            "unique_id": f"{root}_last_reading",
            **entity_id("sensor", self._entity_slug(state, self._words["last_reading"])),
            "name": self._words["last_reading"],
            "device_class": "timestamp",
            "entity_category": "diagnostic",
            "state_topic": self._topics.attributes(state.device_id),
            # Of an empty message (the device is forgotten) there is no value_json, which would be logged as an error.
            "value_template": "{{ value_json.read_at if value_json is defined else None }}",
        }

    def _polling(self, state: DeviceState, root: str) -> dict[str, Any]:
        """Whether the meter is asked, or left alone for a while because it does not answer."""
        words = {breaker: self._words[breaker] for breaker in _BREAKER}
        return {
            "platform": "sensor",
            "unique_id": f"{root}_polling",
            **entity_id("sensor", self._entity_slug(state, self._words["polling"])),
            "name": self._words["polling"],
            "device_class": "enum",
            "options": list(words.values()),
            "entity_category": "diagnostic",
            "state_topic": self._topics.attributes(state.device_id),
            # Not told of one that was not asked yet in this run, which is asked as usual.
            "value_template": (
                f"{{{{ {words}.get(value_json.breaker or 'closed') if value_json is defined else None }}}}"
            ),
            # It is of interest just when the meter is silent.
            "availability": [{"topic": self._topics.bridge_state}],
        }

    def _quarantine(self, state: DeviceState, root: str) -> dict[str, Any]:
        """How many values of the meter's counters are not believed; which ones, in its attributes."""
        suspects = "(value_json.quarantine | default({}) if value_json is defined else {})"
        return {
            "platform": "sensor",
            "unique_id": f"{root}_quarantine",
            **entity_id("sensor", self._entity_slug(state, self._words["quarantine"])),
            "name": self._words["quarantine"],
            "icon": "mdi:shield-alert-outline",
            "entity_category": "diagnostic",
            "state_topic": self._topics.attributes(state.device_id),
            "value_template": f"{{{{ {suspects} | count }}}}",
            "json_attributes_topic": self._topics.attributes(state.device_id),
            "json_attributes_template": f"{{{{ {suspects} | tojson }}}}",
        }

    def _radio(self, state: DeviceState, root: str) -> dict[str, Any]:
        return {
            f"radio_{key}": {
                "unique_id": f"{root}_radio_{key}",
                **entity_id("sensor", self._entity_slug(state, name)),
                "name": name,
                "state_topic": self._topics.attributes(state.device_id),
                **component,
            }
            for key, name, component in radio_entities(self._language)
        }

    def _commands(self, state: DeviceState, root: str) -> dict[str, Any]:
        settings = self._live.meter(state.device_id) if self._live is not None else None
        if self._controls is None or settings is None:
            return {}
        return {
            f"command_{key}": {
                "unique_id": f"{root}_command_{key}",
                **entity_id(component["platform"], self._entity_slug(state, name)),
                "name": name,
                "entity_category": "config",
                # It is of use just when the meter is silent.
                "availability": [{"topic": self._topics.bridge_state}],
                **component,
            }
            for key, (name, component) in self._controls.of_meter(state.device_id, settings).items()
        }

    def _names(self, state: DeviceState, *, wished: bool) -> dict[str, str]:
        """A name for each field, no two alike; with ``wished`` the one that somebody gave it."""
        medium = _medium(state)
        names: dict[str, str] = {}
        owners: dict[str, Field] = {}
        for field in sorted(_shown(state), key=lambda field: (len(field.name), field.name)):
            wish = field.wish.name if wished and field.wish is not None else None
            name = wish or entity_name(field, look(field, medium), self._language, medium)
            first = owners.get(slug(name))
            if first is not None:
                name = f"{name} {_difference(first, field)}"
            owners[slug(name)] = field
            names[field.name] = name
        return names

    def _sensor(self, state: DeviceState, field: Field, root: str, expire_after_s: int) -> dict[str, Any]:
        shown = look(field, _medium(state))
        sensor: dict[str, Any] = {
            "platform": "sensor",
            "unique_id": f"{root}_{field.name}",
            "state_topic": self._topics.field(state.device_id, field.name),
            # An empty message says that the value is gone; alone, Home Assistant would go on showing the old one.
            "value_template": "{{ value or None }}",
            "expire_after": expire_after_s,
        }
        if field.unit:
            sensor["unit_of_measurement"] = field.unit
        sensor |= _optional(shown, field)
        return sensor

    @staticmethod
    def _entity_slug(state: DeviceState, name: str) -> str:
        return slug(f"mbus_{state.device_id}_{name}")


def _optional(shown: Look, field: Field) -> dict[str, Any]:
    """The keys that are only there when they say something."""
    keys: dict[str, Any] = {}
    if shown.device_class:
        keys["device_class"] = shown.device_class
    if shown.state_class:
        keys["state_class"] = shown.state_class
    if shown.category:
        keys["entity_category"] = shown.category
    if shown.icon:
        keys["icon"] = shown.icon
    if shown.precision is not None and field.unit:
        keys["suggested_display_precision"] = shown.precision
    if not shown.enabled:
        keys["enabled_by_default"] = False
    return keys


def _difference(first: Field, other: Field) -> str:
    """What the name of ``other`` says more than that of ``first``, which would be shown alike."""
    rest = other.name.removeprefix(f"{first.name}_")
    return other.unit if rest == slug(other.unit) else rest.replace("_", " ")


def _shown(state: DeviceState) -> list[Field]:
    return [field for field in state.fields.values() if not field.hidden]


def _medium(state: DeviceState) -> int | None:
    return state.meter.medium if state.meter else None
