"""The quantities meters speak of: one name each, in snake case, with what kind of thing it is.

The names are those of the topics (``mbus/<device>/<field>``) and so a contract: a new
one may be added, none may change.
"""
from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(str, Enum):
    """How a quantity behaves over time; decides how it is shown and checked."""

    COUNTER = "counter"  # only grows: energy, volume, heat cost allocator units
    GAUGE = "gauge"  # goes up and down: power, temperature
    DURATION = "duration"  # operating time, averaging time
    TIME_POINT = "time_point"  # a date, a time, or both
    IDENTITY = "identity"  # numbers and texts that say what the device is
    FLAGS = "flags"  # bits
    OTHER = "other"  # raw or manufacturer's own


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity of EN 13757-3. ``slug`` is its topic name, ``title`` its English name. **immutable**"""

    slug: str
    title: str
    kind: Kind
