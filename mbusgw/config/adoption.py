"""Found meters as items of the configuration."""
from __future__ import annotations

from collections.abc import Collection, Iterable

from mbusgw.config.insertion import Entry
from mbusgw.config.models import BusConfig
from mbusgw.mbus.frames import ADDRESS_UNCONFIGURED
from mbusgw.model.found import FoundMeter


def device_entries(meters: Iterable[FoundMeter], bus: BusConfig, taken: Collection[str]) -> list[Entry]:
    """An item of ``devices`` for each meter that can be called: by its primary address where that is its own, else by
    its secondary one. ``taken``: ids that are in use. Any thread.
    """
    wanted = list(meters)
    primaries = [meter.primary for meter in wanted]
    names = set(taken)
    entries: list[Entry] = []
    for meter in wanted:
        own = meter.primary is not None and meter.primary != ADDRESS_UNCONFIGURED
        shared = primaries.count(meter.primary) > 1 or "shares primary address" in meter.note
        if own and not shared:
            address: str | int | None = meter.primary
        else:
            address = None if meter.secondary is None else str(meter.secondary)
        if address is None or meter.identity is None:
            continue
        name = _free(meter.device_id, names)
        names.add(name)
        entry: dict[str, str | int] = {"id": name, "bus": bus.name, "address": address}
        if meter.product is not None:
            entry["name"] = meter.product
        if meter.baudrate != bus.baudrate:
            entry["baudrate"] = meter.baudrate
        entries.append(entry)
    return entries


def _free(name: str, taken: Collection[str]) -> str:
    """``name``, or with the first number behind it that makes it one of its own."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
