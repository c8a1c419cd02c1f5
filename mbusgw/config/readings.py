"""What is made of readings: which values are believed, and which are news."""
from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from mbusgw.config.kinds import DeviceId, positive, written_as
from mbusgw.config.section import Count, Section
from mbusgw.model.quantity import QUANTITIES, Kind

#: ``off``: whatever such a counter says is believed.
UNGUARDED = Decimal(0)


def _limit(value: Any) -> Decimal:
    # YAML reads off, without quotes, as false.
    if value is False or str(value).strip().lower() == "off":
        return UNGUARDED
    return positive(value, "must be a number above 0, the most that it may count in an hour, or off")


def _band(value: Any) -> Decimal:
    return positive(value, "must be a number above 0, in the unit of the topic")


def _check_counter(slug: str) -> str:
    if slug not in QUANTITIES or QUANTITIES[slug].kind is not Kind.COUNTER:
        raise ValueError("no counter: there are energy, volume, mass, hca, reactive_energy and the like")
    return slug


def _check_gauge(slug: str) -> str:
    if slug not in QUANTITIES:
        raise ValueError("no quantity: write it as in the topics (flow_temperature, power), without tariff or storage")
    if QUANTITIES[slug].kind is Kind.COUNTER:
        raise ValueError("a counter has no dead band: each step of it is news")
    return slug


Limit = Annotated[Decimal, BeforeValidator(_limit)]
Band = Annotated[Decimal, BeforeValidator(_band)]
FieldName = Annotated[str, BeforeValidator(written_as(
    r"[a-z0-9_]{1,128}", "no name of a value: write it as in the topics, such as energy or volume_tariff_2"
))]


class PlausibilityConfig(Section):
    """Which values of counters are believed.

    ``limits``: the most that a counter may grow in an hour, by quantity, in the unit of its topic; ``devices``: the
    same for single devices, by field or quantity. A value that is not believed must be confirmed by
    ``confirmations`` further readings.
    """

    enabled: bool = True
    confirmations: Annotated[Count, Field(le=1000)] = 3
    limits: dict[Annotated[str, AfterValidator(_check_counter)], Limit] = Field(default_factory=dict)
    devices: dict[DeviceId, dict[FieldName, Limit]] = Field(default_factory=dict)


class ChangesConfig(Section):
    """What is news. ``dead_bands``: a value that differs by less from the one that was told is none; by quantity."""

    dead_bands: dict[Annotated[str, AfterValidator(_check_gauge)], Band] = Field(default_factory=dict)
