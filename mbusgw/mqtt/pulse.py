"""What is published because time passes: devices that went offline, and the heartbeat."""
from __future__ import annotations

import threading

from mbusgw.mqtt.client import Broker, Incoming
from mbusgw.mqtt.states import StateRecorder
from mbusgw.mqtt.topics import Topics
from mbusgw.registry.registry import Registry
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.worker import Worker
from mbusgw.store.writer import Store

#: With more than this waiting, a heartbeat would only delay the news.
BUSY_OUTBOX = 2_000
#: Devices per round: a large fleet's heartbeat is spread, not poured.
SLICE = 100


class Pulse(Worker):
    """Once a second: who has gone silent; every ``heartbeat_s``: that the gateway is online, each device's whole state.

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
        heartbeat_s: float,
        clock: Clock,
    ) -> None:
        super().__init__("pulse", clock)
        self._registry = registry
        self._recorder = recorder
        self._broker = broker
        self._store = store
        self._topics = topics
        self._heartbeat_s = heartbeat_s
        self._told_mono: dict[str, float] = {}
        self._gateway_told_mono: float | None = None
        self._greetings = 0
        self._owed: set[str] = set()  # whom a broker that was away may have forgotten
        self._bell = threading.Event()

    def greet(self) -> None:
        """The broker is (again) there: say at once that we are.

        After the first time also what every device's state is, of those offline too: it may
        have lost what it knew. (At the start all that is queued anyway.) **any thread**
        """
        self._gateway_told_mono = None
        self._greetings += 1
        self._bell.set()

    def contradict(self, message: Incoming) -> None:
        """Somebody says that the gateway is offline: the will of a run with another client id. We are not.

        **any thread**
        """
        if message.topic == self._topics.bridge_state and message.payload == b"offline" and not message.retained:
            self._gateway_told_mono = None
            self._bell.set()

    def stop(self) -> None:
        """Ends after the running round."""
        super().stop()
        self._bell.set()

    def step(self) -> None:
        """One second."""
        self._bell.clear()
        for change in self._registry.expire():
            self._recorder.publish_change(change)
        for change in self._registry.untold():
            self._recorder.publish_change(change)
        if self._greetings > 1:
            self._greetings = 1
            self._owed.update(self._registry.snapshot())
        if self._broker.connected:
            self._tell_gateway()
            if self._store.count("outbox") < BUSY_OUTBOX:
                self._tell_devices()
        self._bell.wait(1.0)

    def _tell_gateway(self) -> None:
        mono = self.clock.mono()
        if self._gateway_told_mono is not None and mono - self._gateway_told_mono < self._heartbeat_s:
            return
        self._gateway_told_mono = mono
        self._broker.publish(self._topics.bridge_state, "online", retain=True)

    def _tell_devices(self) -> None:
        mono = self.clock.mono()
        due = []
        states = self._registry.snapshot()
        self._told_mono = {device_id: told for device_id, told in self._told_mono.items() if device_id in states}
        self._owed &= states.keys()
        for device_id, state in states.items():
            # New ones have just been published by what made them known; spread them from then on.
            last_mono = self._told_mono.setdefault(device_id, mono)
            beat = mono - last_mono >= self._heartbeat_s and (state.online or state.read_at is None)
            if beat or device_id in self._owed:
                due.append(state)
        due.sort(key=lambda state: self._told_mono[state.device_id])
        for state in due[:SLICE]:
            self._told_mono[state.device_id] = mono
            self._owed.discard(state.device_id)
        if due:
            self._recorder.publish_all(due[:SLICE])
