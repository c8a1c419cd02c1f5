"""The ways out: the broker with Home Assistant, and other outputs."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mbusgw.app.base import Base
from mbusgw.commands.desk import Desk
from mbusgw.mqtt.announcer import Announcer
from mbusgw.mqtt.client import Broker, Incoming
from mbusgw.mqtt.commands import MqttCommands
from mbusgw.mqtt.controls import Live
from mbusgw.mqtt.discovery import Discovery
from mbusgw.mqtt.pulse import Pulse
from mbusgw.mqtt.sender import Sender
from mbusgw.outputs.couriers import Couriers
from mbusgw.runtime.worker import Worker


@dataclass(frozen=True, slots=True)
class WayOut:
    """Broker and Home Assistant. **immutable**"""

    broker: Broker
    sender: Sender
    pulse: Pulse
    announcer: Announcer | None
    commands: MqttCommands | None

    @property
    def workers(self) -> list[Worker]:
        """Its threads, but for paho's."""
        optional: list[Worker | None] = [self.announcer, self.commands]
        return [self.sender, self.pulse, *(worker for worker in optional if worker is not None)]

    def connected(self) -> None:
        """paho's thread: the broker has accepted us; this only posts."""
        self.pulse.greet()
        if self.announcer is not None:
            self.announcer.everything()
        self.sender.ring()

    def received(self, message: Incoming) -> None:
        """paho's thread: a message came; this only posts."""
        self.pulse.contradict(message)
        if self.announcer is not None:
            self.announcer.birth(message)
        if self.commands is not None:
            self.commands.received(message)


def build_way_out(base: Base, interval_s: Callable[[str], float | None], desk: Desk, live: Live) -> WayOut:
    """Connects nothing. ``interval_s``: how often a wired meter is read, for whom it may ask at any time; what is
    asked over MQTT is asked of ``desk``."""
    config, clock = base.config, base.clock
    broker = Broker(
        config.mqtt,
        config.client_id,
        clock=clock,
        will=(base.topics.bridge_state, "offline"),
        subscriptions=[
            *([config.homeassistant.status_topic] if config.homeassistant.enabled else []),
            *([base.topics.request("+")] if config.mqtt.commands else []),
        ],
    )
    sender = Sender(broker, base.store, metrics=base.metrics, clock=clock)
    base.store.on_commit(sender.committed)
    broker.on_ack = sender.acknowledged
    pulse = Pulse(
        base.registry, base.recorder, broker, base.store, base.topics, heartbeat_s=config.mqtt.heartbeat, clock=clock
    )
    announcer = _announcer(base, interval_s, live, sender) if config.homeassistant.enabled else None
    if announcer is not None:
        base.registry.observe(announcer.changed)
    commands = MqttCommands(desk, broker, base.topics, clock=clock) if config.mqtt.commands else None
    out = WayOut(broker, sender, pulse, announcer, commands)
    broker.on_up, broker.on_message = out.connected, out.received
    return out


def _announcer(base: Base, interval_s: Callable[[str], float | None], live: Live, sender: Sender) -> Announcer:
    config = base.config
    discovery = Discovery(
        base.topics,
        gateway_id=config.gateway.id,
        language=config.gateway.language,
        expire_after_s=config.homeassistant.expire_after,
        live=live,
        commands=config.mqtt.commands,
    )
    return Announcer(
        discovery,
        base.registry,
        base.recorder,
        base.store,
        status_topic=config.homeassistant.status_topic,
        interval_s=interval_s,
        clock=base.clock,
        topics=base.topics,
        live=live,
        owes=sender.owes,
    )


def build_outputs(base: Base) -> Couriers:
    """What readings are handed to besides MQTT. Hidden meters stay hidden there too."""

    def hides(device_id: str) -> bool:
        state = base.registry.get(device_id)
        return state is not None and state.hidden

    config = base.config
    return Couriers(
        config.outputs,
        base.store,
        gateway_id=config.gateway.id,
        hides=hides,
        metrics=base.metrics,
        clock=base.clock,
    )
