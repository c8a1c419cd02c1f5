"""Which gateways hand in telegrams with their link layer CRCs.

A gateway does so always or never. A telegram of format B with a damaged CRC looks like one without; where the
gateway always sends them, that is what it is.
"""
from __future__ import annotations

import threading
from collections import OrderedDict

from mbusgw.model.errors import DecodeError
from mbusgw.wmbus.frame import LinkFormat, parse_frame

#: So many gateways are remembered.
MOST_GATEWAYS = 2_000
#: So many telegrams with right CRCs, more than without, make a habit; a gateway that was set up
#: anew has lost it after as many.
SURE = 8
_MOST = 2 * SURE
_LOST = 2


class CrcHabits:
    """Counts telegrams with right CRCs up, and others down, per gateway. **any thread**"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scores: OrderedDict[str, int] = OrderedDict()

    def heard(self, gateway_id: str, raw: bytes) -> bool | None:
        """Counts a telegram; True where it must carry CRCs, None where nobody can say.

        One that certainly has them, or certainly is damaged, tells nothing about those without.
        """
        try:
            step = -_LOST if parse_frame(raw).format is LinkFormat.STRIPPED else 1
        except DecodeError:
            step = 0
        with self._lock:
            before = self._scores.pop(gateway_id, 0)
            self._scores[gateway_id] = max(0, min(_MOST, before + step))
            while len(self._scores) > MOST_GATEWAYS:
                self._scores.popitem(last=False)
        return True if before >= SURE and step < 0 else None
