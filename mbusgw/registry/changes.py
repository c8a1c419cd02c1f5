"""What is news."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from mbusgw.model.device import DeviceState
from mbusgw.model.reading import Field
from mbusgw.model.record import Value


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a device's state. ``fields`` are the names whose value is new or another. **immutable**"""

    before: DeviceState
    after: DeviceState
    fields: frozenset[str]

    @property
    def availability(self) -> bool:
        """It came or went, or was heard for the first time in this run."""
        return self.before.online != self.after.online or self.before.version == 0

    @property
    def structure(self) -> bool:
        """It has fields, or an identity, that it did not have before."""
        return self.before.meter != self.after.meter or self.before.fields.keys() != self.after.fields.keys()

    @property
    def retyped(self) -> frozenset[str]:
        """Fields whose value has another unit, or is a text where it was none: taken as before it would be wrong."""
        before, after = self.before.fields, self.after.fields
        return frozenset(name for name in self.fields if name in before and _is_retyped(before[name], after[name]))


def _is_retyped(before: Field, after: Field) -> bool:
    if after.value is None:
        return False
    return before.unit != after.unit or isinstance(before.value, str) != isinstance(after.value, str)


def difference(before: Mapping[str, Field], after: Mapping[str, Field]) -> frozenset[str]:
    """The names of ``after`` whose value or unit is not that of ``before``."""
    return frozenset(
        name
        for name, field in after.items()
        if name not in before or before[name].value != field.value or before[name].unit != field.unit
    )


class DeadBands:
    """What is too little to be news: a value that differs by less than its quantity's band from the one that was told.

    Compared with what was told, not with the reading before, or a slow drift would never be news. **immutable**
    """

    def __init__(self, bands: Mapping[str, Decimal]) -> None:
        self._bands = dict(bands)

    def news(
        self, before: Mapping[str, Field], after: Mapping[str, Field], told: dict[str, Value | None]
    ) -> frozenset[str]:
        """The names whose value is to be told; ``told`` remembers them for the next time."""
        names = difference(before, after)
        if not self._bands:
            return names
        return frozenset(name for name in names if self._is_news(before.get(name), after[name], told))

    def _is_news(self, before: Field | None, after: Field, told: dict[str, Value | None]) -> bool:
        band = self._bands.get(after.record.quantity.slug) if after.record else None
        if band is None:
            return True
        last = told.setdefault(after.name, before.value if before else None)
        if before is not None and before.unit == after.unit and _lies_within(band, last, after.value):
            return False
        told[after.name] = after.value
        return True


def _lies_within(band: Decimal, last: Value | None, value: Value | None) -> bool:
    if not isinstance(last, (Decimal, int)) or not isinstance(value, (Decimal, int)):
        return False
    return abs(Decimal(value) - Decimal(last)) < band
