"""What speaks MQTT in the daemon, put together as there: store, registry, sender, pulse, announcer."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType

from mbusgw.config.models import HomeAssistantConfig, MqttConfig
from mbusgw.model.fields import name_fields
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.reading import Lane, Reading
from mbusgw.model.record import Record
from mbusgw.model.telegram import Header
from mbusgw.mqtt.announcer import Announcer
from mbusgw.mqtt.client import Broker, Incoming
from mbusgw.mqtt.discovery import Discovery
from mbusgw.mqtt.pulse import Pulse
from mbusgw.mqtt.sender import Sender
from mbusgw.mqtt.states import StateRecorder
from mbusgw.mqtt.topics import Topics
from mbusgw.registry.registry import Registry
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.metrics import Metrics
from mbusgw.store.writer import Store
from tests.fakes.stores import rows
from tests.simulator.memory import SkippingClock
from tests.wait import PATIENCE_S, wait_until

CLOCK = SystemClock()
STATUS_TOPIC = "homeassistant/status"
HEARTBEAT_S = 3600.0
GATEWAY = "homeassistant/device/mbusgw_mbusgw_gateway/config"
METER = MeterIdentity("12345678", "ELS", 51, 4)
TOPICS = Topics(MqttConfig(), HomeAssistantConfig())


def discovery_topic(meter: MeterIdentity) -> str:
    """Where the document of ``meter`` goes."""
    return f"homeassistant/device/mbusgw_{meter.manufacturer}_{meter.id}_{meter.version}_{meter.medium}/config"


def reading(
    device_id: str,
    records: Sequence[Record],
    *,
    meter: MeterIdentity | None = METER,
    read_at: datetime | None = None,
) -> Reading:
    """A reading of a wired meter."""
    return Reading(
        device_id,
        read_at or datetime.now(timezone.utc),
        Lane.WIRED,
        Header(0x72, meter),
        MappingProxyType(name_fields(records)),
        tuple(records),
    )


class House:
    """``start`` runs it; ``close`` ends it like a process that stops. ``clock`` goes, and a test may move it on."""

    def __init__(self, path: Path, port: int, *, uniform: Callable[[float, float], float] = lambda *_: 0.0) -> None:
        config = MqttConfig.model_validate({"url": f"mqtt://127.0.0.1:{port}"})
        self.clock = clock = SkippingClock()
        self.store = Store(path, clock=clock)
        self.store.open()
        self.registry = Registry(clock, radio_ttl_s=3600)
        self.recorder = StateRecorder(self.registry, self.store, TOPICS, clock=clock)
        self.broker = Broker(config, "house", clock=clock, subscriptions=[STATUS_TOPIC, TOPICS.bridge_state])
        self.sender = Sender(self.broker, self.store, metrics=Metrics(), clock=clock)
        self.sender.hasten()  # so that a test need not wait until nothing is under way
        self.store.on_commit(self.sender.committed)
        self.broker.on_ack = self.sender.acknowledged
        self.pulse = Pulse(
            self.registry, self.recorder, self.broker, self.store, TOPICS, heartbeat_s=HEARTBEAT_S, clock=clock
        )
        self.announcer = Announcer(
            Discovery(TOPICS, gateway_id="mbusgw", language="en", expire_after_s=300),
            self.registry,
            self.recorder,
            self.store,
            status_topic=STATUS_TOPIC,
            interval_s=lambda _device_id: None,
            clock=clock,
            owes=self.sender.owes,
            uniform=uniform,
        )
        self.registry.observe(self.announcer.changed)
        self.broker.on_message = self._received
        self.broker.on_up = self._up

    def start(self) -> House:
        """Returns once it is connected and all is sent."""
        for worker in (self.store, self.sender, self.pulse, self.announcer):
            worker.start()
        self.broker.start()
        wait_until(lambda: self.broker.connected)
        return self

    def read(self, device_id: str, *records: Record, meter: MeterIdentity | None = METER) -> None:
        """The meter was read; returns when that is stored."""
        self.recorder.deliver(reading(device_id, records, meter=meter)).result(PATIENCE_S)

    @property
    def settled(self) -> bool:
        """The broker has all that was stored. The table is asked, as tests ask the others: the store counts a commit
        a moment after they can see it."""
        return not rows(self.store, "SELECT id FROM mqtt_queue LIMIT 1")

    def close(self) -> None:
        wait_until(lambda: self.settled)
        self.broker.stop()
        for worker in (self.announcer, self.pulse, self.sender, self.store):
            worker.stop()
            assert worker.join(PATIENCE_S)
        assert self.broker.join(PATIENCE_S)
        self.store.close()

    def _received(self, message: Incoming) -> None:
        self.announcer.birth(message)
        self.pulse.contradict(message)

    def _up(self) -> None:
        self.pulse.greet()
        self.announcer.everything()
        self.sender.ring()
