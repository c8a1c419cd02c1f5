"""What is wanted otherwise with single records of a meter."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from itertools import chain
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from mbusgw.config.kinds import Label, positive, written_as
from mbusgw.config.section import Section
from mbusgw.mbus import vif_tables
from mbusgw.model.classes import SENSOR_CLASSES, STATE_CLASSES
from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.units import normalise
from mbusgw.model.wishes import MeterWishes, RecordWish, RecordWishes, is_pattern

NONE = "none"
#: Beyond that it is a slip of the pen.
_LARGEST = Decimal("1E+9")
_EXAMPLES = "energy, water, gas, volume, power, temperature"
#: What these make of a name changes the unit of its quantity.
_OF_ANOTHER_UNIT = ("_per_", "_times_")


def _class(value: str) -> str:
    if value != NONE and value not in SENSOR_CLASSES:
        raise ValueError(f"must be a device class of Home Assistant's sensors ({_EXAMPLES} …), or none")
    return value


def _state_class(value: str) -> str:
    if value != NONE and value not in STATE_CLASSES:
        raise ValueError(f"must be one of {', '.join(sorted(STATE_CLASSES))}, or none")
    return value


def _factor(value: Any) -> Decimal:
    what = "must be a number above 0, such as 10 or 0.001"
    number = positive(value, what)
    if not 1 / _LARGEST <= number <= _LARGEST:
        raise ValueError(what)
    return Decimal(format(number, "f"))


FieldPattern = Annotated[str, BeforeValidator(written_as(
    r"[a-z0-9_*?]{1,128}", "no name of a value: write it as in the topics (energy, volume_storage_1), * for any letters"
))]


class RecordConfig(Section):
    """One field, or all that a pattern fits. ``factor`` multiplies its value, ``unit`` is what it is then called."""

    name: Label | None = None
    hidden: bool | None = None
    enabled: bool | None = None
    device_class: Annotated[str, AfterValidator(_class)] | None = None
    state_class: Annotated[str, AfterValidator(_state_class)] | None = None
    factor: Annotated[Decimal, BeforeValidator(_factor)] | None = None
    unit: Annotated[Label, Field(max_length=20)] | None = None

    @property
    def wish(self) -> RecordWish:
        """The same, for who reads the meter."""
        return RecordWish(
            self.name, self.hidden, self.enabled, _or_none(self.device_class), _or_none(self.state_class),
            self.factor, self.unit,
        )  # fmt: skip


class DescribedMeter(Section):
    """What may be said of any meter: ``area``, where Home Assistant puts it at first; ``records``, by field."""

    area: Label | None = None
    records: dict[FieldPattern, RecordConfig] = Field(default_factory=dict)

    @property
    def wishes(self) -> MeterWishes:
        """The same, for who reads the meter."""
        return MeterWishes(self.area, RecordWishes(tuple((name, one.wish) for name, one in self.records.items())))


def illegal(meter: DescribedMeter) -> Iterable[tuple[str, str, str]]:
    """What Home Assistant would refuse: the name under ``records``, the key, and why. **any thread**"""
    wishes = meter.wishes.records
    for name, config in meter.records.items():
        whole = config.wish if is_pattern(name) else wishes.of(name)
        if whole is None or not whole.device_class:
            continue
        known = SENSOR_CLASSES[whole.device_class]
        units = {whole.unit} if whole.unit is not None else _units_of(name)
        if units and not units & known.units:
            takes = ", ".join(sorted(known.units - {""})) or "no unit"
            yield name, "device_class", f"{whole.device_class} does not go with {' or '.join(sorted(units))}: {takes}"
        if whole.state_class and whole.state_class not in known.state_classes:
            takes = ", ".join(sorted(known.state_classes)) or "none"
            yield name, "state_class", f"{whole.state_class} does not go with {whole.device_class}: {takes}"


def _or_none(value: str | None) -> str | None:
    return "" if value == NONE else value


def _units_of(name: str) -> set[str]:
    """The units in which a field of that name may be published; empty where nothing is known of it."""
    if is_pattern(name) or any(word in name for word in _OF_ANOTHER_UNIT):
        return set()
    words = name.split("_")
    slugs = ("_".join(words[:length]) for length in range(len(words), 0, -1))
    return next((_units()[slug] for slug in slugs if slug in _units()), set())


@cache
def _units() -> Mapping[str, set[str]]:
    """Quantity → the units of its topics, of those that have one."""
    tables = (vif_tables.PRIMARY, vif_tables.EXTENSION_FB_TABLE, vif_tables.EXTENSION_FD_TABLE)
    units: dict[str, set[str]] = {}
    for vif in chain(*(table.values() for table in tables), vif_tables.EXTENSION_FD_FD_TABLE.values()):
        if vif.unit:
            units.setdefault(vif.quantity, set()).add(normalise(None, vif.unit, QUANTITIES[vif.quantity])[1])
    return units
