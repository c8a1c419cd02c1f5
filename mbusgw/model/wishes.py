"""What a person wants otherwise with a meter and with single records of it."""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from decimal import Decimal
from fnmatch import fnmatchcase

from mbusgw.model.record import Value
from mbusgw.model.units import product


@dataclass(frozen=True, slots=True)
class RecordWish:
    """How one field is wanted; what is None stays as it is by itself. **immutable**

    ``factor`` multiplies its value, in the unit of its topic; ``unit`` is what it is then called. ``hidden``: no topic
    and no entity. The rest is for Home Assistant; a class ``""`` stands for none.
    """

    name: str | None = None
    hidden: bool | None = None
    enabled: bool | None = None
    device_class: str | None = None
    state_class: str | None = None
    factor: Decimal | None = None
    unit: str | None = None

    def over(self, other: RecordWish) -> RecordWish:
        """Both, and of what both speak of this one. **any thread**"""
        pairs = {one.name: (getattr(self, one.name), getattr(other, one.name)) for one in fields(self)}
        return RecordWish(**{name: mine if mine is not None else theirs for name, (mine, theirs) in pairs.items()})

    def applied(self, value: Value | None, unit: str) -> tuple[Value | None, str]:
        """Value and unit as wanted; exact. **any thread**"""
        if self.factor is not None and isinstance(value, (Decimal, int)):
            value = product(value, self.factor)
        return value, unit if self.unit is None else self.unit


@dataclass(frozen=True, slots=True)
class RecordWishes:
    """By the names of fields, in which ``*`` stands for any letters and ``?`` for one. **immutable**

    Of several that fit a field the later one counts, and one without such letters before all.
    """

    wishes: tuple[tuple[str, RecordWish], ...] = ()

    def of(self, name: str) -> RecordWish | None:
        """What is wanted of the field ``name``. **any thread**"""
        found: RecordWish | None = None
        for pattern, wish in sorted(self.wishes, key=lambda one: not is_pattern(one[0])):
            if fnmatchcase(name, pattern):
                found = wish if found is None else wish.over(found)
        return found

    def unmet(self, names: Collection[str]) -> list[str]:
        """Those that fit none of ``names``. **any thread**"""
        return [pattern for pattern, _ in self.wishes if not any(fnmatchcase(name, pattern) for name in names)]


@dataclass(frozen=True, slots=True)
class MeterWishes:
    """Where a meter is, and what is wanted of its records. **immutable**"""

    area: str | None = None
    records: RecordWishes = RecordWishes()


NO_RECORD_WISHES = RecordWishes()
NO_WISHES = MeterWishes()


def is_pattern(name: str) -> bool:
    """It may stand for several fields. **any thread**"""
    return "*" in name or "?" in name
