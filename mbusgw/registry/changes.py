"""What is news."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mbusgw.model.device import DeviceState
from mbusgw.model.reading import Field


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


def difference(before: Mapping[str, Field], after: Mapping[str, Field]) -> frozenset[str]:
    """The names of ``after`` whose value or unit is not that of ``before``."""
    return frozenset(
        name
        for name, field in after.items()
        if name not in before or before[name].value != field.value or before[name].unit != field.unit
    )
