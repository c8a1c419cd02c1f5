"""The names of topics: a contract."""
from __future__ import annotations

from mbusgw.config.models import HomeAssistantConfig, MqttConfig


class Topics:
    """Builds every topic name from the configured prefixes. **immutable**"""

    def __init__(self, mqtt: MqttConfig, homeassistant: HomeAssistantConfig) -> None:
        self._prefix = mqtt.topic_prefix
        self._discovery = homeassistant.prefix
        self._telegram = mqtt.telegram_topic
        self._root = mqtt.telegram_root
        self.bridge_state = self.bridge("state")
        self.bridge_info = self.bridge("info")
        self.bridge_health = self.bridge("health")
        self.bridge_settings = self.bridge("settings")

    def bridge(self, name: str) -> str:
        """Of the gateway itself."""
        return f"{self._prefix}/bridge/{name}"

    def request(self, command: str) -> str:
        """Where a command is asked for."""
        return self.bridge(f"request/{command}")

    def response(self, command: str) -> str:
        """Where it is answered."""
        return self.bridge(f"response/{command}")

    def availability(self, device_id: str) -> str:
        """``online`` or ``offline``."""
        return f"{self._prefix}/{device_id}/availability"

    def field(self, device_id: str, name: str) -> str:
        """One value, plain text."""
        return f"{self._prefix}/{device_id}/{name}"

    def settings(self, device_id: str) -> str:
        """How a wired meter is polled, JSON."""
        return f"{self._prefix}/{device_id}/settings"

    def attributes(self, device_id: str) -> str:
        """All there is to know about the last reading, JSON."""
        return f"{self._prefix}/{device_id}/attributes"

    def history(self, device_id: str) -> str:
        """Readings that were not told when they were the newest, each with its own time, JSON."""
        return f"{self._prefix}/{device_id}/history"

    def quarantine(self, device_id: str) -> str:
        """The values that are not believed, JSON; empty while there are none."""
        return f"{self._prefix}/{device_id}/quarantine"

    def raw(self, gateway_id: str, ingest_id: str) -> str:
        """An accepted radio telegram as it came."""
        return f"{self._root.format(gateway_id=gateway_id)}/raw/{ingest_id}"

    def reading(self, gateway_id: str, meter_id: str | None) -> str:
        """A parsed radio telegram; ``unknown`` where the parser names no meter."""
        topic = self._telegram.format(gateway_id=gateway_id, meter_id=meter_id or "unknown")
        return f"{topic}/reading"

    def errors(self, gateway_id: str, ingest_id: str) -> str:
        """What failed with a radio telegram."""
        return f"{self._root.format(gateway_id=gateway_id)}/errors/{ingest_id}"

    def discovery(self, object_id: str) -> str:
        """Home Assistant's device discovery."""
        return f"{self._discovery}/device/{object_id}/config"
