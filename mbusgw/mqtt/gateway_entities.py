"""The entities of the gateway itself in Home Assistant."""
from __future__ import annotations

from typing import Any

from mbusgw import __version__
from mbusgw.mqtt.announcement import entity_id, object_id
from mbusgw.mqtt.topics import Topics

_NAMES = {
    "en": {"gateway": "M-Bus gateway", "status": "Status", "uptime": "Uptime"},
    "de": {"gateway": "M-Bus-Gateway", "status": "Status", "uptime": "Betriebszeit"},
}


def gateway_root(gateway_id: str) -> str:
    """Its identifier, and what its unique ids begin with."""
    return object_id(f"mbusgw_{gateway_id}_gateway")


class GatewayEntities:
    """Builds the document of the gateway. **any thread**"""

    def __init__(self, topics: Topics, *, gateway_id: str, language: str) -> None:
        self._topics = topics
        self._root = gateway_root(gateway_id)
        self._words = _NAMES[language]

    def document(self) -> dict[str, Any]:
        """Device and components."""
        return {
            "device": {
                "identifiers": [self._root],
                "name": self._words["gateway"],
                "manufacturer": "mbusgw",
                "model": "mbusgw",
                "sw_version": __version__,
            },
            "components": {"status": self._status(), "uptime": self._uptime()},
        }

    def _status(self) -> dict[str, Any]:
        return {
            "platform": "binary_sensor",
            "unique_id": f"{self._root}_status",
            **entity_id("binary_sensor", "mbus_gateway_status"),
            "name": self._words["status"],
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": self._topics.bridge_state,
            "payload_on": "online",
            "payload_off": "offline",
        }

    def _uptime(self) -> dict[str, Any]:
        return {
            "platform": "sensor",
            "unique_id": f"{self._root}_uptime",
            **entity_id("sensor", "mbus_gateway_uptime"),
            "name": self._words["uptime"],
            "device_class": "duration",
            "state_class": "measurement",
            "unit_of_measurement": "s",
            "entity_category": "diagnostic",
            "state_topic": self._topics.bridge_info,
            "value_template": "{{ value_json.uptime_s }}",
            "availability": [{"topic": self._topics.bridge_state}],
        }
