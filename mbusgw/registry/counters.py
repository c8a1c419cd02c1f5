"""Which values are counters, and how fast the fastest usual meter of a kind counts."""
from __future__ import annotations

from decimal import Decimal

from mbusgw.model.classes import SENSOR_CLASSES
from mbusgw.model.meter import ELECTRICITY, GAS_MEDIA, WATER_MEDIA
from mbusgw.model.quantity import Kind
from mbusgw.model.reading import Field
from mbusgw.model.record import Function, Record

#: Home Assistant's words for what only grows, and for what goes up and down.
COUNTER, GAUGE = "total_increasing", "measurement"

#: A counter that Home Assistant takes for none.
_NO_TOTAL = frozenset({"reset_counter"})
#: What these qualifiers make of a counter is a rate, a balance, a limit, or a value of another time.
_NO_COUNTER = (
    "per_", "times_", "profile_", "compact_profile", "inverse_compact_profile", "delta_import_export", "limit_",
    "relative_deviation", "average", "historic", "fixed_date", "future", "first", "last",
)  # fmt: skip
#: How often a limit was exceeded: there the limit only says which.
_OF_LIMITS = "exceed_count"
#: Counts that are set to zero once a year, on their due date.
_BEGINS_ANEW = frozenset({"hca"})

# Per hour. Electricity: 100 A on three phases and some. Heat: a house of many flats. Volume: the permanent flow of
# the largest meter that is usual in houses (water Q3 16, gas G25), in heat meters of a distribution pipe.
_KWH, _KWH_ELECTRIC = Decimal(500), Decimal(100)
_COUNTS_PER_HOUR = Decimal(3600)

#: (quantity, unit of the topic) -> (media it is for, most per hour), the first that fits; None: any medium.
_MOST: dict[tuple[str, str], tuple[tuple[frozenset[int] | None, Decimal], ...]] = {
    ("energy", "kWh"): ((frozenset({ELECTRICITY}), _KWH_ELECTRIC), (None, _KWH)),
    ("energy", "GJ"): ((None, _KWH * Decimal("0.0036")),),
    ("energy", "Mcal"): ((None, _KWH * Decimal("0.86")),),
    ("reactive_energy", "kvarh"): ((None, _KWH_ELECTRIC),),
    ("apparent_energy", "kVAh"): ((None, _KWH_ELECTRIC),),
    ("volume", "m³"): ((WATER_MEDIA, Decimal(20)), (GAS_MEDIA, Decimal(40)), (None, Decimal(60))),
    ("mass", "kg"): ((None, Decimal(60_000)),),
    ("hca", ""): ((None, Decimal(200)),),
}


def is_counter(field: Field) -> bool:
    """A running count, which Home Assistant makes statistics of: no due date, no extreme, no rate. **any thread**

    What a person calls one is one.
    """
    record, wish = field.record, field.wish
    if record is None:
        return False
    if wish is not None and wish.state_class is not None:
        return wish.state_class == COUNTER
    if record.function is not Function.INSTANTANEOUS or record.storage:
        return False
    if any(word.startswith(_NO_COUNTER) for word in _meaning(record)):
        return False
    counts = record.quantity.kind is Kind.COUNTER and record.quantity.slug not in _NO_TOTAL
    if wish is None or not wish.device_class:
        return counts
    legal = SENSOR_CLASSES[wish.device_class].state_classes
    return COUNTER in legal and (counts or GAUGE not in legal)


def _meaning(record: Record) -> tuple[str, ...]:
    return () if record.quantity.slug == _OF_LIMITS else record.qualifiers


def begins_anew(record: Record | None) -> bool:
    """A count that its meter may set to zero in the course of things. **any thread**"""
    return record is not None and record.quantity.slug in _BEGINS_ANEW


def most_per_hour(slug: str, unit: str, medium: int | None) -> Decimal:
    """What a meter of ``medium`` counts in an hour at most; infinite where nothing is known of it. **any thread**"""
    for media, most in _MOST.get((slug, unit), ()):
        if media is None or medium in media:
            return most
    return Decimal("Infinity") if unit else _COUNTS_PER_HOUR
