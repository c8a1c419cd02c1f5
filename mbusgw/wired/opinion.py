"""A second opinion on an answer: where pyMeterBus reads it otherwise than we do (``decoder: meterbus``)."""
from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal

from mbusgw.mbus.oracle import OracleRecord, decode_with_meterbus
from mbusgw.model.errors import DecodeError
from mbusgw.model.record import Record, Value
from mbusgw.model.units import plain_text
from mbusgw.model.wording import counted

#: It computes with binary fractions; what differs by less is the same.
TOLERANCE = Decimal("1e-6")
#: Its word for a VIF it does not know: its value has no scale then.
_UNKNOWN = ("reserved", "variable_vif", "manufacturer_specific")


def differences(raw: bytes, records: Sequence[Record]) -> list[str]:
    """One sentence for each record of the frame ``raw`` that pyMeterBus reads otherwise. Any thread.

    Records that it does not know are left out. Where it cannot read the frame at all,
    that is the one sentence.
    """
    try:
        theirs = decode_with_meterbus(raw)
    except DecodeError as error:
        return [str(error)]
    if len(theirs) != len(records):
        return [f"pyMeterBus finds {counted(len(theirs), 'record')}, mbusgw {len(records)}"]
    return [
        f"pyMeterBus reads record {number} ({ours.quantity.slug}) as {_plain(other.value)}, not {_plain(ours.value)}"
        for number, (ours, other) in enumerate(zip(records, theirs, strict=True), start=1)
        if not _same(ours, other)
    ]


def _same(ours: Record, theirs: OracleRecord) -> bool:
    if theirs.quantity in _UNKNOWN:
        return True
    mine, other = ours.value, theirs.value
    if isinstance(mine, (int, Decimal)) and isinstance(other, (int, Decimal)):
        return abs(Decimal(mine) - Decimal(other)) <= TOLERANCE * max(Decimal(1), abs(Decimal(mine)))
    if isinstance(mine, (datetime, date, time)) and isinstance(other, str):
        return bool(other) and mine.isoformat().startswith(other)  # it leaves the seconds out
    return _plain(mine) == _plain(other)


def _plain(value: Value | None) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Decimal):
        return format(round(value, 6).normalize(), "f")
    return plain_text(value).strip()
