"""One meter under several names: Home Assistant can only be told of one."""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from mbusgw.model.device import DeviceState
from mbusgw.registry.registry import Registry

log = logging.getLogger(__name__)


class Twins:
    """Decides which of the devices that are one meter is announced, and says in the log that they are one.

    A meter can be configured twice, on two buses or at its primary and its secondary address, or be read by wire and
    be heard by radio as well. The one that is announced stays as long as it is heard; ``topic`` is where a device
    would be announced. **own thread**
    """

    def __init__(self, registry: Registry, topic: Callable[[DeviceState], str]) -> None:
        self._registry = registry
        self._topic = topic
        self._told: set[tuple[str, str]] = set()
        self._waiting: dict[str, set[str]] = {}

    def owners(self, states: Iterable[DeviceState], holders: Mapping[str, str]) -> dict[str, DeviceState]:
        """Topic → who is to be announced there, of ``states``; ``holders`` are announced there now."""
        owners: dict[str, DeviceState] = {}
        for state in states:
            if state.read_at is None or state.hidden:
                continue
            topic = self._topic(state)
            other = owners.setdefault(topic, state)
            if other is state:
                continue
            better, worse = sorted((other, state), key=lambda one: _rank(one, holders.get(topic)), reverse=True)
            owners[topic] = better
            self._leave_out(worse, better, topic)
        return owners

    def is_left_out(self, state: DeviceState, topic: str, holder_id: str | None) -> bool:
        """Whether ``state`` is not to be announced, because the device ``holder_id`` is there and is heard."""
        holder = self._registry.get(holder_id) if holder_id not in (None, "", state.device_id) else None
        if holder is None or holder.hidden or not holder.online or self._topic(holder) != topic:
            return False
        self._leave_out(state, holder, topic)
        return True

    def freed(self, topic: str) -> set[str]:
        """Who was left out for whom was announced at ``topic`` until now."""
        return self._waiting.pop(topic, set())

    def _leave_out(self, state: DeviceState, shown: DeviceState, topic: str) -> None:
        self._waiting.setdefault(topic, set()).add(state.device_id)
        pair = (shown.device_id, state.device_id)
        if pair in self._told or not (state.online and shown.online):
            return  # one that is silent has been moved, perhaps
        self._told.add(pair)
        meter = state.meter
        log.warning(
            "%s and %s are one meter (%s): Home Assistant is shown %s only; take the other one out, or hide it",
            *pair, f"{meter.manufacturer or ''} {meter.id}".strip() if meter else "?", shown.device_id,
        )  # fmt: skip


def _rank(state: DeviceState, holder_id: str | None) -> tuple[bool, bool, float]:
    return state.online, state.device_id == holder_id, state.read_at.timestamp() if state.read_at else 0.0
