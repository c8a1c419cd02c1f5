"""Says in the log, once, when the configuration speaks of records that a meter does not have."""
from __future__ import annotations

import logging
import threading

from mbusgw.config.shape import guess
from mbusgw.model.reading import Lane
from mbusgw.model.wishes import RecordWishes, is_pattern
from mbusgw.registry.changes import Change

log = logging.getLogger(__name__)

#: Radio meters send their records in turns; after so many readings all have been heard.
PATIENCE = {Lane.WIRED: 1, Lane.WIRELESS: 20}
#: So many names are told.
_MOST = 40


class UnmetWishes:
    """``changed`` is a registry observer. **any thread**"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: dict[str, tuple[RecordWishes, int]] = {}

    def changed(self, change: Change) -> None:
        """One more reading of a meter, perhaps."""
        state = change.after
        wishes = state.wishes.records
        if not wishes.wishes or state.read_at in (None, change.before.read_at):
            return
        with self._lock:
            known, count = self._readings.get(state.device_id, (wishes, 0))
            count = count + 1 if known == wishes else 1
            self._readings[state.device_id] = wishes, count
        if count != PATIENCE[state.lane]:
            return
        names = sorted(state.fields)
        for name in wishes.unmet(names):
            meant = "" if is_pattern(name) else guess(name, names)
            log.warning(
                "%s: `records` speaks of %s, which the meter does not have%s; it has %s",
                state.device_id, name, f" ({meant})" if meant else "",
                ", ".join(names[:_MOST]) + (" …" if len(names) > _MOST else ""),
            )  # fmt: skip
