"""How many telegrams a gateway may hand in."""
from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

from mbusgw.runtime.clock import Clock

#: A gateway that was away may hand in what it kept: so many seconds' worth at once.
BURST_S = 30.0
#: Names that are remembered; in a trusted network anybody may make one up.
GATEWAYS_MAX = 10_000


class GatewayRates:
    """Token buckets, one per gateway: ``per_s`` telegrams a second, ``BURST_S`` seconds' worth at once. **any thread**

    A request is taken as long as its gateways have anything left, however long the batch: a batch beyond
    the burst could never be taken otherwise. What it takes too much must come back first.
    """

    def __init__(self, per_s: float, clock: Clock) -> None:
        self._per_s = per_s
        self._burst = max(1.0, per_s * BURST_S)
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens left, and when that was

    def take(self, counts: Mapping[str, int]) -> dict[str, float]:
        """Takes ``counts`` telegrams of each gateway. Of those that are over their rate: in how many seconds they
        may come back; then nothing was taken."""
        now_mono = self._clock.mono()
        with self._lock:
            left = {gateway_id: self._left(gateway_id, now_mono) for gateway_id in counts}
            over = {gateway_id: (1 - tokens) / self._per_s for gateway_id, tokens in left.items() if tokens < 1}
            if not over:
                for gateway_id, count in counts.items():
                    self._buckets[gateway_id] = (left[gateway_id] - count, now_mono)
                    self._buckets.move_to_end(gateway_id)
                while len(self._buckets) > GATEWAYS_MAX:
                    self._buckets.popitem(last=False)
            return over

    def _left(self, gateway_id: str, now_mono: float) -> float:
        tokens, at_mono = self._buckets.get(gateway_id, (self._burst, now_mono))
        return min(self._burst, tokens + (now_mono - at_mono) * self._per_s)
