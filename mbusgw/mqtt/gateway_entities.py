"""The entities of the gateway itself in Home Assistant."""
from __future__ import annotations

from typing import Any

from mbusgw import __version__
from mbusgw.model.fields import slug
from mbusgw.mqtt.announcement import entity, object_id
from mbusgw.mqtt.controls import Controls, Live
from mbusgw.mqtt.topics import Topics

_NAMES = {
    "en": {
        "gateway": "M-Bus gateway", "status": "Status", "uptime": "Uptime", "waiting": "Messages waiting",
        "online": "Meters online", "last_error": "Last error", "bus": "Bus {}", "none": "none",
    },
    "de": {
        "gateway": "M-Bus-Gateway", "status": "Status", "uptime": "Betriebszeit", "waiting": "Wartende Nachrichten",
        "online": "Zähler online", "last_error": "Letzter Fehler", "bus": "Bus {}", "none": "keiner",
    },
}  # fmt: skip


def gateway_root(gateway_id: str) -> str:
    """Its identifier, and what its unique ids begin with."""
    return object_id(f"mbusgw_{gateway_id}_gateway")


class GatewayEntities:
    """Builds the document of the gateway. **any thread**

    ``live`` names the buses; with ``controls`` it can be told something, too.
    """

    def __init__(
        self, topics: Topics, *, gateway_id: str, language: str, live: Live | None, controls: Controls | None
    ) -> None:
        self._topics = topics
        self._root = gateway_root(gateway_id)
        self._words = _NAMES[language]
        self._live = live
        self._controls = controls

    def document(self) -> dict[str, Any]:
        """Device and components."""
        buses = list(self._live.buses()) if self._live is not None else []
        components = {"status": self._entity("status", self._words["status"], self._status()), **self._reported(buses)}
        if self._controls is not None:
            for key, (name, component) in self._controls.of_gateway(buses).items():
                components[key] = self._named(key, name, {"entity_category": "config", **component})
        return {
            "device": {
                "identifiers": [self._root],
                "name": self._words["gateway"],
                "manufacturer": "mbusgw",
                "model": "mbusgw",
                "sw_version": __version__,
            },
            "components": components,
        }

    def _status(self) -> dict[str, Any]:
        return {
            "platform": "binary_sensor",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": self._topics.bridge_state,
            "payload_on": "online",
            "payload_off": "offline",
        }

    def _reported(self, buses: list[str]) -> dict[str, Any]:
        """What the report on ``bridge/info`` tells."""
        gauge = {"state_class": "measurement"}
        seconds = {"device_class": "duration", "unit_of_measurement": "s", "suggested_display_precision": 0}
        none = self._words["none"]
        error = f"{{{{ (value_json.last_error.message if value_json.last_error else '{none}')[:255] }}}}"
        components = {
            "uptime": self._sensor("uptime", "{{ value_json.uptime_s }}", {**gauge, **seconds}),
            "waiting": self._sensor("waiting", "{{ value_json.messages_waiting }}", {**gauge, "icon": "mdi:tray-full"}),
            "online": self._sensor("online", "{{ value_json.meters_online }}", {**gauge, "icon": "mdi:counter"}),
            "last_error": self._sensor("last_error", error, {"icon": "mdi:alert-circle-outline"}),
        }
        for bus in buses:
            place = f"value_json.components.get('bus {bus}', {{}}).get('status')"
            connected = {
                "platform": "binary_sensor",
                "device_class": "connectivity",
                "entity_category": "diagnostic",
                "state_topic": self._topics.bridge_info,
                "value_template": f"{{{{ 'ON' if {place} == 'healthy' else 'OFF' }}}}",
            }
            components[f"bus_{bus}"] = self._named(f"bus_{bus}", self._words["bus"].format(bus), connected)
        return components

    def _sensor(self, key: str, template: str, look: dict[str, Any]) -> dict[str, Any]:
        component = {
            "platform": "sensor",
            "entity_category": "diagnostic",
            "state_topic": self._topics.bridge_info,
            "value_template": template,
            **look,
        }
        return self._named(key, self._words[key], component)

    def _named(self, key: str, name: str, component: dict[str, Any]) -> dict[str, Any]:
        return self._entity(key, name, {"availability": [{"topic": self._topics.bridge_state}], **component})

    def _entity(self, key: str, name: str, component: dict[str, Any]) -> dict[str, Any]:
        return entity(f"{self._root}_{key}", f"mbus_gateway_{slug(key)}", name, component)
