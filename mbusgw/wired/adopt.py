"""Found meters become configured ones."""
from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mbusgw.config import edit
from mbusgw.config.insertion import Entry
from mbusgw.config.loader import load
from mbusgw.config.models import BusConfig, Config, DeviceConfig
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.command import Document
from mbusgw.model.errors import ConfigUnchanged, RequestError
from mbusgw.model.found import FoundMeter
from mbusgw.wired.finds import configured_as
from mbusgw.wired.operations import of_bus

#: Addresses that a meter keeps for itself; 0 is that of meters which were given none yet.
PRIMARY_FIRST, PRIMARY_LAST = 1, 250
_NAME_MAX = 100


@dataclass(slots=True)
class Adoption:
    """What is to be added, what is configured already (find → device), what cannot be (find → why)."""

    entries: list[Entry] = field(default_factory=list)
    already: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def document(self) -> Document:
        """For whoever asked: ``added`` holds the new entries of ``devices``."""
        return {"added": [dict(entry) for entry in self.entries], "already": self.already, "refused": self.refused}


def adopt(
    path: Path,
    environ: Mapping[str, str],
    found: Sequence[FoundMeter],
    *,
    wanted: Collection[str] | None = None,
    bus: str | None = None,
    new_bus: BusConfig | None = None,
) -> Document:
    """Writes the ``wanted`` of ``found`` (None: all, perhaps of one ``bus`` only) into the configuration file, and
    ``new_bus`` with them, where they are on one that is not there yet.

    A list with a name that was not found is not carried out in part: who has mistyped one wants to put that right,
    and not to find out what was done. Raises ``RequestError`` 404, which names all of those, and for a bus that is not
    there; ``ConfigError`` and ``ConfigUnchanged`` as ``config.edit.add`` does. **any thread**, any process
    """
    config = load(path, environ) if path.exists() else Config()
    if bus is not None:
        of_bus(bus, {name: None for name in (*(one.name for one in config.buses), *(meter.bus for meter in found))})
    chosen = choose(found, wanted, bus)
    buses = [] if new_bus is None else [new_bus]
    adoption = plan(config.model_copy(update={"buses": (*config.buses, *buses)}), chosen, found)
    if adoption.entries:
        new: list[Entry] = [{"name": one.name, "port": one.port, "baudrate": one.baudrate} for one in buses]
        edit.add(path, {"buses": new, "devices": adoption.entries}, environ)
    return adoption.document()


def choose(found: Iterable[FoundMeter], wanted: Collection[str] | None, bus: str | None) -> list[FoundMeter]:
    """By name (``els_12345678``) or secondary address. Raises ``RequestError`` 404."""
    here = [meter for meter in found if bus in (None, meter.bus)]
    if wanted is None:
        return here
    names = {name.lower() for name in wanted}
    chosen = [meter for meter in here if names & _names(meter)]
    missing = sorted(names - {name for meter in chosen for name in _names(meter)})
    if missing:
        on_bus = "" if bus is None else f" on bus {bus}"
        known = ", ".join(dict.fromkeys(meter.device_id for meter in here)) or "none; scan first"
        text = f"no scan has found {', '.join(missing)}{on_bus}, so nothing was adopted; found: {known}"
        raise RequestError(404, "unknown_meter", text, field="meters")
    return chosen


def _names(meter: FoundMeter) -> set[str]:
    return {meter.device_id} | ({str(meter.secondary).lower()} if meter.secondary is not None else set())


def plan(config: Config, chosen: Iterable[FoundMeter], found: Sequence[FoundMeter]) -> Adoption:
    """What would be added to ``config``; ``found`` are all finds, of which some may share an address."""
    adoption = Adoption()
    taken = {device.id for device in config.devices} | {"bridge"}
    for meter in chosen:
        name = meter.device_id
        if (device := configured_as(meter, config.wired_devices)) is not None:
            adoption.already[name] = device
            continue
        try:
            entry = _entry(config, meter, found, _free(name, taken))
        except ConfigUnchanged as error:
            adoption.refused[name] = str(error)
            continue
        taken.add(str(entry["id"]))
        adoption.entries.append(entry)
    return adoption


def _entry(config: Config, meter: FoundMeter, found: Sequence[FoundMeter], device_id: str) -> Entry:
    bus = next((bus for bus in config.buses if bus.name == meter.bus), None)
    if bus is None:
        raise ConfigUnchanged(f"the configuration has no bus {meter.bus}")
    entry: dict[str, str | int] = {"id": device_id}
    if meter.product and meter.identity is not None:
        entry["name"] = f"{meter.product} {meter.identity.id}"[:_NAME_MAX]
    entry["bus"] = meter.bus
    if _is_alone(meter, found, config.wired_devices):
        entry["address"] = int(meter.primary or 0)
        if meter.identity is not None:
            entry["meter"] = str(meter.secondary or SecondaryAddress.of(meter.identity))
    elif meter.secondary is not None:
        entry["address"] = str(meter.secondary)
    else:
        raise ConfigUnchanged(meter.note or "it has no address of its own")
    if meter.baudrate != bus.baudrate:
        entry["baudrate"] = meter.baudrate
    return entry


def _is_alone(meter: FoundMeter, found: Sequence[FoundMeter], devices: Sequence[DeviceConfig]) -> bool:
    """Its primary address is its own, and it can be made out who it is or there is nothing against it."""
    if meter.primary is None or not PRIMARY_FIRST <= meter.primary <= PRIMARY_LAST:
        return False
    if meter.identity is None and meter.note:
        return False
    others = [other for other in found if other.key != meter.key and other.bus == meter.bus]
    configured = [device.address for device in devices if device.bus == meter.bus]
    return meter.primary not in [other.primary for other in others] and meter.primary not in configured


def _free(name: str, taken: Collection[str]) -> str:
    number, free = 1, name[:60]
    while free in taken:
        number += 1
        free = f"{name[:60]}_{number}"
    return free
