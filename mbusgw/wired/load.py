"""How much is asked of a bus, and whether it can keep up."""
from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from mbusgw.model.wording import counted

log = logging.getLogger(__name__)

#: A bus that is asked for more than its time is told of; below this share it keeps up again.
FULL, KEEPS_UP = 1.0, 0.9
#: How much the newest read counts for the time that a meter needs.
NEWEST = 0.3


@dataclass(frozen=True, slots=True)
class LoadState:
    """What the bus would have to do. **immutable**

    ``meters``: those that are read at intervals; ``seconds_per_read``: their mean; ``round_s``: reading each once;
    ``busy_percent``: the share of its time that the intervals ask for; over 100 it cannot keep up.
    """

    meters: int = 0
    seconds_per_read: float = 0.0
    round_s: float = 0.0
    busy_percent: float = 0.0
    overloaded: bool = False


class Load:
    """Keeps what each meter takes and how often it is to be read; says once when that is too much, and when it ends.

    **any thread**
    """

    def __init__(self, bus: str) -> None:
        self._bus = bus
        self._lock = threading.Lock()
        self._meters: dict[str, tuple[float, float, int]] = {}  # interval, seconds a read, how often seen
        self._reads_since_new = 0
        self._overloaded = False

    def took(self, device_id: str, interval_s: float | None, seconds: float) -> None:
        """A read of a meter is over, and held the bus for so long; without an interval it is not counted."""
        if interval_s is None:
            return
        with self._lock:
            _, before_s, seen = self._meters.get(device_id, (interval_s, seconds, 0))
            self._reads_since_new = self._reads_since_new + 1 if seen else 0
            # The first read initialises the link and says too much; later ones are smoothed.
            mean_s = seconds if seen < 2 else before_s + NEWEST * (seconds - before_s)
            self._meters[device_id] = (interval_s, mean_s, seen + 1)
        self._judge()

    def forget(self, device_id: str) -> None:
        """The meter is not read any more."""
        with self._lock:
            self._meters.pop(device_id, None)
        self._judge()

    def snapshot(self) -> LoadState:
        """How it is now."""
        with self._lock:
            meters = list(self._meters.values())
            overloaded = self._overloaded
        if not meters:
            return LoadState()
        round_s = sum(seconds for _, seconds, _ in meters)
        share = sum(seconds / interval_s for interval_s, seconds, _ in meters)
        return LoadState(
            len(meters), round(round_s / len(meters), 3), round(round_s, 3), round(100 * share, 1), overloaded
        )

    def _judge(self) -> None:
        state = self.snapshot()
        share = state.busy_percent / 100
        with self._lock:
            if self._reads_since_new < len(self._meters) and not self._overloaded:
                return  # at the start not all were heard of yet
            before = self._overloaded
            self._overloaded = share > (KEEPS_UP if before else FULL)
            now = self._overloaded
            intervals = {interval_s for interval_s, _, _ in self._meters.values()}
        if now and not before:
            log.warning("bus %s cannot keep up: %s", self._bus, _arithmetic(state, intervals))
        elif before and not now:
            log.info("bus %s keeps up again: it is busy %.0f %% of the time", self._bus, state.busy_percent)


def _arithmetic(state: LoadState, intervals: set[float]) -> str:
    sum_ = f"{counted(state.meters, 'meter')} × {state.seconds_per_read:.2f} s a read are {state.round_s:.1f} s"
    if len(intervals) == 1:
        wanted = f"but each is to be read every {intervals.pop():g} s"
        advice = f"make the interval {_longer(state.round_s)} s or more"
    else:
        wanted = f"and at the intervals asked that is {state.busy_percent:.0f} % of the time"
        advice = f"make the intervals {state.busy_percent / 100 * 1.05:.1f} times as long"
    return f"{sum_}, {wanted}; they are read in turn, none is left out ({advice}, or use a higher baud rate)"


def _longer(seconds: float) -> int:
    return int(seconds * 1.05) + 1
