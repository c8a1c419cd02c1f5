"""Home Assistant's device discovery: one retained document per meter, one for the gateway.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""
from __future__ import annotations

from typing import Any

from mbusgw.model.device import DeviceState
from mbusgw.model.fields import slug
from mbusgw.model.reading import Field
from mbusgw.model.wording import in_words
from mbusgw.mqtt.announcement import Announcement, Scribe, entity, object_id
from mbusgw.mqtt.controls import Controls, Live
from mbusgw.mqtt.gateway_entities import GatewayEntities, gateway_root
from mbusgw.mqtt.meter_entities import MeterEntities
from mbusgw.mqtt.quantities import Look, entity_name, look
from mbusgw.mqtt.radio import expiry_s
from mbusgw.mqtt.topics import Topics
from mbusgw.mqtt.words import device_kind


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
        self._language = language
        self._expire_after_s = expire_after_s
        self._scribe = Scribe()
        controls = Controls(topics, language) if commands else None
        self._gateway = GatewayEntities(topics, gateway_id=gateway_id, language=language, live=live, controls=controls)
        self._entities = MeterEntities(topics, language=language, live=live, controls=controls)

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
        components = self._entities.first(state, root)
        # An entity keeps the id that it was made with; one made of a name that was changed since would name another.
        ids, names = self._names(state, wished=False), self._names(state, wished=True)
        for field in _shown(state):
            name_slug = slug(f"mbus_{state.device_id}_{ids[field.name]}")
            sensor = self._sensor(state, field, int(expire_after_s))
            components[field.name] = entity(f"{root}_{field.name}", name_slug, names[field.name], sensor)
        components |= self._entities.last(state, root)
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

    def _sensor(self, state: DeviceState, field: Field, expire_after_s: int) -> dict[str, Any]:
        shown = look(field, _medium(state))
        sensor: dict[str, Any] = {
            "platform": "sensor",
            "state_topic": self._topics.field(state.device_id, field.name),
            # An empty message says that the value is gone; alone, Home Assistant would go on showing the old one.
            "value_template": "{{ value or None }}",
            "expire_after": expire_after_s,
        }
        if field.unit:
            sensor["unit_of_measurement"] = field.unit
        return sensor | _optional(shown, field)


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
    return other.unit if rest == slug(other.unit) else in_words(rest)


def _shown(state: DeviceState) -> list[Field]:
    return [field for field in state.fields.values() if not field.hidden]


def _medium(state: DeviceState) -> int | None:
    return state.meter.medium if state.meter else None
