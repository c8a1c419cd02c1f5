"""Says in the log when a meter is there for the first time, falls silent, and is there again."""
from __future__ import annotations

import logging

from mbusgw.model.device import DeviceState
from mbusgw.model.reading import Lane
from mbusgw.registry.changes import Change

log = logging.getLogger(__name__)


def changed(change: Change) -> None:
    """A registry observer. **any thread**"""
    before, after = change.before, change.after
    if before.read_at is None and after.read_at is not None:
        how = "read" if after.lane is Lane.WIRED else "heard"
        log.info("%s is %s for the first time%s", after.device_id, how, _who(after))
    elif after.online and not before.online:
        log.info("%s is online again", after.device_id)
    elif before.online and not after.online:
        log.warning("%s is offline: %s", after.device_id, after.last_error or "it was not heard in time")


def _who(state: DeviceState) -> str:
    meter = state.meter
    return f": {meter.manufacturer or ''} {meter.id}, {meter.medium_name}".replace(":  ", ": ") if meter else ""
