"""Counter values that are not believed yet, and what is believed instead."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType

from mbusgw.model.document import Document, plain_value
from mbusgw.model.reading import Field, Reading


class Doubt(str, Enum):
    """Why a counter's value is not believed."""

    DOWN = "down"  # less than before
    JUMP = "jump"  # more than the meter can count in the time that has passed
    ZERO = "zero"  # nothing, after it had counted: what meters say while they start, or are broken
    UNIT = "unit"  # in another unit than before
    NO_NUMBER = "no_number"  # a text


#: What a meter may say for hours without meaning it: believed when a person says so, never because it is repeated.
NEVER_CONFIRMED = frozenset({Doubt.ZERO, Doubt.NO_NUMBER})


@dataclass(frozen=True, slots=True)
class Count:
    """A counter as it was believed last. ``at``: when the meter said so; ``resolution``: of its last digit, 0 where
    that tells nothing. **immutable**"""

    value: Decimal | int
    unit: str
    at: datetime
    resolution: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Suspect:
    """A value in quarantine. Each reading that has such a value again makes a new one. **immutable**

    ``field`` is the newest, of ``last_at``; ``seen`` counts the readings since ``since`` whose value was not believed,
    ``confirmations`` those that agreed with the one before. ``refused``: a person has said that it is wrong.
    """

    field: Field
    doubt: Doubt
    since: datetime
    last_at: datetime
    confirmations: int = 0
    seen: int = 1
    refused: bool = False


NO_SUSPECTS: Mapping[str, Suspect] = MappingProxyType({})
NO_COUNTS: Mapping[str, Count] = MappingProxyType({})


def held_back(suspects: Mapping[str, Suspect], reading: Reading) -> frozenset[str]:
    """The fields of ``reading`` of which ``suspects``, after it was judged, hold what it said. **any thread**"""
    return frozenset(
        name for name, one in suspects.items() if name in reading.fields and one.last_at == reading.read_at
    )


def quarantine_document(suspects: Mapping[str, Suspect], shown: Mapping[str, Field]) -> Document:
    """Every value in quarantine by its field; ``kept`` is the one of ``shown`` that stays in its place."""
    return {name: _suspect_document(suspect, shown.get(name)) for name, suspect in suspects.items()}


def _suspect_document(suspect: Suspect, kept: Field | None) -> Document:
    return {
        "value": plain_value(suspect.field.value),
        "unit": suspect.field.unit,
        "kept": plain_value(kept.value) if kept else None,
        "doubt": suspect.doubt.value,
        "since": suspect.since,
        "last_at": suspect.last_at,
        "seen": suspect.seen,
        "confirmations": suspect.confirmations,
        "refused": suspect.refused,
    }
