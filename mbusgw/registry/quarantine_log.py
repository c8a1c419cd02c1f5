"""Says in the log, once, when a value is not believed, and once what became of it."""
from __future__ import annotations

import logging

from mbusgw.model.quarantine import Doubt, Suspect
from mbusgw.model.units import plain_text
from mbusgw.model.wording import counted
from mbusgw.registry.changes import Change

log = logging.getLogger(__name__)

_WHY = {
    Doubt.DOWN: "less than before",
    Doubt.JUMP: "more than it can have counted since (see plausibility.limits)",
    Doubt.ZERO: "nothing, after it had counted",
    Doubt.UNIT: "in another unit than before",
    Doubt.NO_NUMBER: "no number",
}


def changed(change: Change) -> None:
    """A registry observer. **any thread**"""
    before, after = change.before.quarantine, change.after.quarantine
    if before is after or change.after.hidden:
        return
    for name in after.keys() - before.keys():
        suspect = after[name]
        log.warning(
            "%s: %s = %s is %s; it is in quarantine, %s stays",
            change.after.device_id, name, _text(suspect), _WHY[suspect.doubt], _shown(change, name),
        )  # fmt: skip
    for name in before.keys() - after.keys():
        suspect = before[name]
        log.info(
            "%s: %s is %s; %s in quarantine, the last with %s",
            change.after.device_id, name, _shown(change, name),
            counted(suspect.seen, "reading was", "readings were"), _text(suspect),
        )  # fmt: skip


def _text(suspect: Suspect) -> str:
    return f"{plain_text(suspect.field.value)[:100]} {suspect.field.unit}".rstrip()


def _shown(change: Change, name: str) -> str:
    field = change.after.fields.get(name)
    return f"{plain_text(field.value)} {field.unit}".rstrip() if field and field.value is not None else "nothing"
