"""One data record of EN 13757-3: what was measured, which of its siblings it is, and the bytes it came from."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum

from mbusgw.model.quantity import Quantity

#: A decoded value. Numbers are exact; dates and times are the meter's local ones, without a zone.
Value = Decimal | int | str | datetime | date | time


class Function(str, Enum):
    """Function field of the DIF (EN 13757-3, table 5)."""

    INSTANTANEOUS = "instantaneous"
    MAXIMUM = "maximum"
    MINIMUM = "minimum"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Record:
    """One data record, decoded. **immutable**

    ``value`` is scaled to ``unit``, the base unit of its VIF ("Wh", "m³", "°C" …, "" where
    there is none); it is None where the meter says "invalid" or the bytes cannot be
    understood, and then ``problem`` says why. ``qualifiers`` are what the VIFEs add to
    the meaning, as snake case words in wire order ("forward", "per_hour", "limit_upper").
    ``text_unit`` is a plain-text VIF as sent. ``data`` is the raw data field, always kept.
    """

    quantity: Quantity
    unit: str
    value: Value | None
    function: Function = Function.INSTANTANEOUS
    storage: int = 0
    tariff: int = 0
    subunit: int = 0
    qualifiers: tuple[str, ...] = ()
    text_unit: str | None = None
    dib: bytes = b""
    vib: bytes = b""
    data: bytes = b""
    problem: str | None = None
