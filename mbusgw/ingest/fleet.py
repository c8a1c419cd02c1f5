"""The gateways: who hands in how much, and who has gone."""
from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from mbusgw.runtime.clock import Clock

#: The rate is that of the last minutes.
MINUTES = 15
#: Gateways remembered; in a trusted network names can be made up. Of more, the one heard of longest ago is forgotten.
GATEWAYS_MAX = 2000
#: A gateway is gone after so many of its own usual pauses, but not before GONE_MIN_S.
GONE_PAUSES = 20
GONE_MIN_S = 300.0
#: How much a new pause counts in the usual one.
WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class GatewayState:
    """How a gateway is. **immutable**

    ``telegrams_per_min``: over the last quarter of an hour. ``gone``: it has been silent for much longer than it
    usually is. ``last_contact_at`` is our time.
    """

    gateway_id: str
    last_contact_at: datetime
    silent_s: float
    telegrams: int
    duplicates: int
    telegrams_per_min: float
    gone: bool


@dataclass(slots=True)
class _Gateway:
    last_at: datetime
    last_mono: float
    since_mono: float
    telegrams: int = 0
    duplicates: int = 0
    pause_s: float | None = None
    minutes: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=MINUTES + 1))


class Fleet:
    """Counts what every gateway hands in since the start. **any thread**"""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._gateways: dict[str, _Gateway] = {}

    def contact(self, gateway_id: str, *, telegrams: int, duplicates: int) -> None:
        """A gateway has handed in so many telegrams, ``duplicates`` of them known already."""
        mono, now = self._clock.mono(), self._clock.now()
        with self._lock:
            gateway = self._gateways.get(gateway_id)
            if gateway is None:
                gateway = self._gateways[gateway_id] = self._new(now, mono)
            else:
                pause_s = mono - gateway.last_mono
                usual_s = gateway.pause_s
                gateway.pause_s = pause_s if usual_s is None else usual_s + WEIGHT * (pause_s - usual_s)
            gateway.last_at, gateway.last_mono = now, mono
            gateway.telegrams += telegrams
            gateway.duplicates += duplicates
            minute = int(mono // 60)
            if gateway.minutes and gateway.minutes[-1][0] == minute:
                telegrams += gateway.minutes.pop()[1]
            gateway.minutes.append((minute, telegrams))

    def _new(self, now: datetime, mono: float) -> _Gateway:
        if len(self._gateways) >= GATEWAYS_MAX:
            del self._gateways[min(self._gateways, key=lambda name: self._gateways[name].last_mono)]
        return _Gateway(now, mono, mono)

    def snapshot(self) -> list[GatewayState]:
        """Every gateway heard of since the start, by name."""
        mono = self._clock.mono()
        with self._lock:
            return [_state(name, self._gateways[name], mono) for name in sorted(self._gateways)]


def _state(name: str, gateway: _Gateway, mono: float) -> GatewayState:
    silent_s = mono - gateway.last_mono
    return GatewayState(
        gateway_id=name,
        last_contact_at=gateway.last_at,
        silent_s=round(silent_s, 1),
        telegrams=gateway.telegrams,
        duplicates=gateway.duplicates,
        telegrams_per_min=round(_per_minute(gateway.minutes, gateway.since_mono, mono), 2),
        gone=silent_s > max(GONE_MIN_S, GONE_PAUSES * (gateway.pause_s or GONE_MIN_S)),
    )


def _per_minute(minutes: Iterable[tuple[int, int]], since_mono: float, mono: float) -> float:
    first = int(mono // 60) - MINUTES + 1
    count = sum(telegrams for minute, telegrams in minutes if minute >= first)
    observed_s = min(mono - since_mono, mono - first * 60)
    return count / max(observed_s / 60, 1.0)
