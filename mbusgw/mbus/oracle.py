"""The home of pyMeterBus: a second opinion on a wired frame. Only its ``load`` is used.

It is imported late, because importing it calls ``logging.basicConfig``. What it is known
to read otherwise than the standard: integers that mean "invalid", non-decimal BCD, day and
month 0, values that VIFEs after the first turn into something else, units of the fixed structure.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from mbusgw.model.errors import DecodeError

# what its code lets out on frames it was not made for, besides its own errors
_ITS_SLIPS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, NotImplementedError)

#: What it calls manufacturer data after DIF 0F and 1F, which it lists as a record.
_NO_RECORD = "special_function"


@dataclass(frozen=True, slots=True)
class OracleRecord:
    """One record as pyMeterBus reads it; numbers carry the noise of its float arithmetic. **immutable**

    ``quantity`` and ``unit`` are its words. ``value`` is a number, a text (also for dates), or None.
    """

    value: Decimal | int | str | None
    unit: str
    quantity: str
    function: str
    storage: int
    tariff: int
    subunit: int


def decode_with_meterbus(raw: bytes) -> list[OracleRecord]:
    """The records of a wired frame by pyMeterBus. Raises ``DecodeError`` for whatever it cannot read. Any thread."""
    load, its_error = _load()
    try:
        telegram = load(bytes(raw))
        read = [_record(record) for record in getattr(telegram, "records", ())]
    except (its_error, *_ITS_SLIPS) as error:
        reason = getattr(error, "msg", None) or str(error) or type(error).__name__
        raise DecodeError(f"pyMeterBus cannot read this: {reason}") from error
    return [record for record in read if record.function != _NO_RECORD]


def _load() -> tuple[Callable[[bytes], Any], type[Exception]]:
    """Its entrance and the base of its errors."""
    import meterbus
    from meterbus.exceptions import MBusError

    return meterbus.load, MBusError


def _record(record: Any) -> OracleRecord:
    read: dict[str, Any] = record.interpreted
    return OracleRecord(
        _value(read["value"]),
        str(record.unit or ""),
        _word(read["type"]),
        _word(read["function"]).removesuffix("_value"),
        int(read.get("storage_number") or 0),
        int(read.get("tariff") or 0),
        int(read.get("device") or 0),
    )


def _value(value: Any) -> Decimal | int | str | None:
    if value is None or isinstance(value, (Decimal, int, str)):
        return value
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value)


def _word(name: str) -> str:
    """``VIFUnit.FLOW_TEMPERATURE`` as ``flow_temperature``."""
    return name.rpartition(".")[2].lower()
