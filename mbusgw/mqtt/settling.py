"""The values that are told again, or for the first time, when Home Assistant knows how to take them."""
from __future__ import annotations

from mbusgw.mqtt.states import StateRecorder
from mbusgw.registry.registry import Registry
from mbusgw.runtime.clock import Clock

#: It takes the values of an entity of which something else was told for expired, and some time to understand.
SETTLE_S = 2.0


class Settling:
    """Devices that were announced otherwise; their values follow. **own thread**"""

    def __init__(self, registry: Registry, recorder: StateRecorder, clock: Clock) -> None:
        self._registry = registry
        self._recorder = recorder
        self._clock = clock
        self._due_mono: dict[str, float] = {}

    def owe(self, device_id: str) -> None:
        """Something else was just told of it."""
        self._due_mono[device_id] = self._clock.mono() + SETTLE_S

    def spare(self, device_id: str) -> None:
        """All that was to be told of it is told: what was withheld need not wait, unless it is owed."""
        if device_id not in self._due_mono and self._recorder.release(device_id):
            self._publish([device_id])

    def settle(self) -> None:
        """Publishes the values that are due."""
        mono = self._clock.mono()
        due = [device_id for device_id, due_mono in self._due_mono.items() if mono >= due_mono]
        for device_id in due:
            del self._due_mono[device_id]
            self._recorder.release(device_id)
        self._publish(due)

    def _publish(self, device_ids: list[str]) -> None:
        states = [state for device_id in device_ids if (state := self._registry.get(device_id)) is not None]
        self._recorder.publish_all(states)
