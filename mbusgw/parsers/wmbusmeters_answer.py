"""What wmbusmeters answers in our form: each of its fields as a record.

Its names end in the unit (``total_m3``, ``temp_room_c``). Those that say what a standard record says get our
names, so that a proprietary meter looks like any other; the rest keep theirs.
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.record import Function, Record, Value

#: Members of an answer that are no fields of the meter.
_ABOUT = frozenset(
    "_ media meter name id timestamp error error_analyze warning telegram device rssi_dbm".split()
)

#: Its name without the unit -> our quantity and storage number.
_STANDARD: Mapping[str, tuple[str, int]] = {
    "total": ("", 0),
    "total_volume": ("", 0),
    "total_energy_consumption": ("", 0),
    "total_consumption": ("", 0),
    "current": ("", 0),
    "current_consumption": ("", 0),
    "target": ("", 1),
    "target_volume": ("", 1),
    "target_energy_consumption": ("", 1),
    "last_month_total": ("", 1),
    "previous": ("", 1),
    "consumption_at_set_date": ("", 1),
    "target_date": ("date", 1),
    "set_date": ("date", 1),
    "previous_date": ("date", 1),
    "prev_date": ("date", 1),
    "last_month_measure_date": ("date", 1),
    "flow_temperature": ("flow_temperature", 0),
    "return_temperature": ("return_temperature", 0),
    "external_temperature": ("external_temperature", 0),
}
#: Where a meter sends a total, "current" and "previous" are parts of it and keep their names.
_PARTS = ("current", "previous")

#: Ending of a name -> quantity, unit.
_UNITS: Mapping[str, tuple[str, str]] = {
    "m3": ("volume", "m³"),
    "l": ("volume", "l"),
    "kwh": ("energy", "kWh"),
    "mj": ("energy", "MJ"),
    "gj": ("energy", "GJ"),
    "kvarh": ("reactive_energy", "kvarh"),
    "kvah": ("apparent_energy", "kVAh"),
    "hca": ("hca", ""),
    "kw": ("power", "kW"),
    "w": ("power", "W"),
    "m3h": ("volume_flow", "m³/h"),
    "lh": ("volume_flow", "l/h"),
    "c": ("external_temperature", "°C"),
    "k": ("temperature_difference", "K"),
    "rh": ("relative_humidity", "%"),
    "v": ("voltage", "V"),
    "a": ("current", "A"),
    "hz": ("frequency", "Hz"),
    "bar": ("pressure", "bar"),
    "kg": ("mass", "kg"),
    "s": ("duration", "s"),
    "min": ("duration", "min"),
    "h": ("duration", "h"),
    "d": ("duration", "d"),
    "y": ("dimensionless", "a"),
    "pct": ("dimensionless", "%"),
    "counter": ("dimensionless", ""),
}

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?Z?")
_PARTIAL = re.compile(r"\((\d+) of (\d+) bytes\)")


def records(answer: Mapping[str, object]) -> tuple[Record, ...]:
    """The fields of an answer, in its order. Any thread."""
    has_total = any(name.split("_")[0] == "total" for name in answer)
    return tuple(_record(name, value, has_total) for name, value in answer.items() if name not in _ABOUT)


def understood(answer: Mapping[str, object]) -> int | None:
    """How many bytes of the content it understood; None where it says nothing, that is, all. Any thread."""
    found = _PARTIAL.search(str(answer.get("warning") or ""))
    return int(found[1]) if found else None


def values(answer: Mapping[str, object]) -> dict[str, object]:
    """What it says of the meter, without when. Any thread."""
    return {name: value for name, value in answer.items() if name not in _ABOUT}


def _record(name: str, told: object, has_total: bool) -> Record:
    value = _value(told)
    stem, _, ending = name.rpartition("_")
    numeric = isinstance(value, (Decimal, int)) and ending in _UNITS and bool(stem)
    quantity, unit = _UNITS[ending] if numeric else ("any", "")
    word = stem if numeric else name
    ours, storage = _STANDARD.get(word, (None, 0))
    if has_total and word in _PARTS:
        ours = None
    if isinstance(value, date):
        quantity = "datetime" if isinstance(value, datetime) else "date"
    standard = ours is not None and (numeric or isinstance(value, date))
    return Record(
        QUANTITIES[ours if standard and ours else quantity],
        unit,
        value,
        Function.INSTANTANEOUS,
        storage=storage if standard else 0,
        text_unit=None if standard else word.replace("_", " "),
        data=str(told).encode(),
        problem=None if value is not None else "no value",
    )


def _value(told: object) -> Value | None:
    if isinstance(told, bool) or told is None:
        return None if told is None else str(told).lower()
    if isinstance(told, int):
        return Decimal(told)
    if isinstance(told, Decimal):
        return told if told.is_finite() else None
    text = str(told)
    found = _DATE.fullmatch(text)
    if found is None:
        return text
    try:
        day = date(int(found[1]), int(found[2]), int(found[3]))
        if found[4] is None:
            return day
        return datetime(day.year, day.month, day.day, int(found[4]), int(found[5]), int(found[6] or 0))
    except ValueError:
        return text
