"""What the demo knows of the meters: what anybody sees who listens to the broker, and nothing else."""
from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from mbusgw.config.models import MqttConfig
from mbusgw.mqtt.client import Broker, Incoming
from mbusgw.runtime.clock import Clock, parse_iso
from mbusgw.runtime.mailbox import Mailbox

PREFIX = "mbus"
DISCOVERY = "homeassistant"
#: Another one than the gateway's: a broker lets only one of two in.
CLIENT_ID = "mbusgw-demo-view"
JOIN_S = 3.0
MAX_WAITING = 100_000

#: A value that arrived: device, field, payload.
Arrival = tuple[str, str, str]


@dataclass(slots=True)
class Seen:
    """One device as its topics show it. The main thread.

    ``attributes`` and ``discovery`` are the JSON documents as they came.
    """

    device_id: str
    online: bool = False
    values: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    discovery: dict[str, Any] = field(default_factory=dict)
    configured_name: str = ""

    @property
    def name(self) -> str:
        """As Home Assistant calls it; until it was announced as the configuration does, or the device's id."""
        announced = self.discovery.get("device", {}).get("name") or self.attributes.get("name")
        return str(announced or self.configured_name or self.device_id)

    @property
    def medium(self) -> str:
        """The medium in words; empty until it is known."""
        return str((self.attributes.get("meter") or {}).get("medium_name", ""))

    @property
    def lane(self) -> str:
        """``wired`` or ``wireless``; empty until it is known."""
        return str(self.attributes.get("lane", ""))

    @property
    def rssi_dbm(self) -> float | None:
        """How strong a radio meter was heard; None for a wired one."""
        return self.attributes.get("rssi_dbm")

    def unit(self, name: str) -> str:
        """The unit of a field; empty where it has none."""
        return str(self.attributes.get("units", {}).get(name, ""))

    def age_s(self, now: datetime) -> float | None:
        """Seconds since the meter was read; None before the first reading."""
        read_at = self.attributes.get("read_at")
        return (now - parse_iso(read_at)).total_seconds() if read_at else None

    def components(self) -> dict[str, dict[str, Any]]:
        """The entities announced to Home Assistant."""
        return dict(self.discovery.get("components", {}))


class Watch:
    """Listens to the broker. ``names``: those of configured devices. ``start``, ``update``, ``stop``: the main thread

    paho's thread only puts messages into a box; should nobody ever empty it, the newest are lost and ``lost`` counts.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        on_value: Callable[[Arrival], None] | None = None,
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.devices: dict[str, Seen] = {}
        self.bridge_online = False
        self.lost = 0
        self._box: Mailbox[Incoming] = Mailbox(MAX_WAITING)
        self._on_value = on_value
        self._names = names
        self._broker = Broker(
            MqttConfig(url=url), CLIENT_ID, clock=clock, subscriptions=[f"{PREFIX}/#", f"{DISCOVERY}/device/#"]
        )
        self._broker.on_message = self._received

    def start(self) -> None:
        """Begins to connect."""
        self._broker.start()

    def stop(self) -> None:
        """Ends the connection."""
        self._broker.stop()
        self._broker.join(JOIN_S)

    def update(self) -> None:
        """Takes in what has arrived since."""
        for message in self._box.drain(MAX_WAITING):
            self.take_in(message.topic, message.payload.decode("utf-8", errors="replace"))

    def take_in(self, topic: str, payload: str) -> None:
        """One message."""
        prefix, _, rest = topic.partition("/")
        if prefix == DISCOVERY:
            self._announced(payload)
            return
        device_id, _, name = rest.partition("/")
        if device_id == "bridge":
            if name == "state":
                self.bridge_online = payload == "online"
            return
        seen = self._seen(device_id)
        if name == "availability":
            seen.online = payload == "online"
        elif name == "attributes":
            seen.attributes = _document(payload)
        elif name in ("settings", "history"):
            return  # how it is polled, what it said before: no value of the meter
        elif payload:
            seen.values[name] = payload
            if self._on_value is not None:
                self._on_value((device_id, name, payload))
        else:
            seen.values.pop(name, None)

    def _seen(self, device_id: str) -> Seen:
        if device_id not in self.devices:
            self.devices[device_id] = Seen(device_id, configured_name=self._names.get(device_id, ""))
        return self.devices[device_id]

    def _announced(self, payload: str) -> None:
        document = _document(payload)
        for place in document.get("availability", []):
            prefix, _, rest = str(place.get("topic", "")).partition("/")
            device_id, _, name = rest.partition("/")
            if prefix == PREFIX and name == "availability":
                self._seen(device_id).discovery = document

    def _received(self, message: Incoming) -> None:
        """paho's thread."""
        if not self._box.offer(message):
            self.lost += 1


def _document(payload: str) -> dict[str, Any]:
    """A JSON object; empty for anything else, because anybody may publish on this broker."""
    try:
        document = json.loads(payload)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
