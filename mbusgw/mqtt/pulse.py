"""What is published because time passes: offline devices, the heartbeat, the gateway's own state."""
from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from mbusgw.mqtt.client import Broker
from mbusgw.mqtt.states import StateRecorder
from mbusgw.mqtt.topics import Topics
from mbusgw.registry.registry import Registry
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.worker import Worker
from mbusgw.store import outbox
from mbusgw.store.outbox import Message
from mbusgw.store.writer import Store

log = logging.getLogger(__name__)

#: With more than this waiting, a heartbeat would only delay the news.
BUSY_OUTBOX = 2_000
#: Devices per round: a large fleet's heartbeat is spread, not poured.
SLICE = 100


class Pulse(Worker):
    """Once a second: who has gone silent; every ``heartbeat_s`` each device's whole state, and the gateway's.

    **own thread**
    """

    def __init__(
        self,
        registry: Registry,
        recorder: StateRecorder,
        broker: Broker,
        store: Store,
        topics: Topics,
        *,
        info: Callable[[], Any],
        health: Callable[[], Any],
        heartbeat_s: float,
        clock: Clock,
    ) -> None:
        super().__init__("pulse", clock)
        self._registry = registry
        self._recorder = recorder
        self._broker = broker
        self._store = store
        self._topics = topics
        self._info = info
        self._health = health
        self._heartbeat_s = heartbeat_s
        self._told_mono: dict[str, float] = {}
        self._gateway_told_mono: float | None = None

    def step(self) -> None:
        """One second."""
        for change in self._registry.expire():
            state = change.after
            log.warning("%s is offline: %s", state.device_id, state.last_error or "it was not heard in time")
            self._recorder.publish_change(change)
        if self._broker.connected:
            self._tell_gateway()
            if self._store.count("outbox") < BUSY_OUTBOX:
                self._tell_devices()
        self.wait(1.0)

    def _tell_gateway(self) -> None:
        mono = self.clock.mono()
        if self._gateway_told_mono is not None and mono - self._gateway_told_mono < self._heartbeat_s:
            return
        self._gateway_told_mono = mono
        self._broker.publish(self._topics.bridge_state, "online", retain=True)
        documents = ((self._topics.bridge_info, self._info()), (self._topics.bridge_health, self._health()))
        messages = [Message(topic, exactjson.dumps(document), retain=True) for topic, document in documents]
        self._store.submit(outbox.enqueue(messages, self.clock.now()))

    def _tell_devices(self) -> None:
        mono = self.clock.mono()
        due = []
        for device_id, state in self._registry.snapshot().items():
            # New ones have just been published by what made them known; spread them from then on.
            last_mono = self._told_mono.setdefault(device_id, mono)
            if mono - last_mono >= self._heartbeat_s and (state.online or state.read_at is None):
                due.append(state)
        due.sort(key=lambda state: self._told_mono[state.device_id])
        for state in due[:SLICE]:
            self._told_mono[state.device_id] = mono
        if due:
            self._recorder.publish_all(due[:SLICE])
