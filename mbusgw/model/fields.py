"""Names for records: the field under which a value is published, stable for a meter whatever the order of its records.

A name is the quantity, what changes its meaning, which sibling it is, and the function:
``energy``, ``energy_tariff_2``, ``volume_storage_1``, ``power_l1``, ``volume_flow_max``.
Names are part of the topics and so a contract.
"""
from __future__ import annotations

import unicodedata
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from mbusgw.model.quantity import Kind
from mbusgw.model.reading import Field
from mbusgw.model.record import Function, Record
from mbusgw.model.units import normalise
from mbusgw.model.wishes import NO_RECORD_WISHES, RecordWish, RecordWishes

_FUNCTION_SUFFIX = {
    Function.INSTANTANEOUS: "",
    Function.MAXIMUM: "_max",
    Function.MINIMUM: "_min",
    Function.ERROR: "_error",
}

#: Where two records mean the same in two units, the earlier unit here keeps the plain name.
_PREFERRED_UNITS = ("kWh", "GJ", "Mcal", "m³", "W", "m³/h", "°C", "K")

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})

#: Qualifiers that make another unit of the value.
_UNIT_SUFFIX = {
    "per_second": "/s",
    "per_minute": "/min",
    "per_hour": "/h",
    "per_day": "/d",
    "per_week": "/week",
    "per_month": "/month",
    "per_year": "/a",
    "per_revolution": "/revolution",
    "per_input_pulse_0": "/pulse",
    "per_input_pulse_1": "/pulse",
    "per_output_pulse_0": "/pulse",
    "per_output_pulse_1": "/pulse",
    "per_litre": "/l",
    "per_m3": "/m³",
    "per_kg": "/kg",
    "per_kelvin": "/K",
    "per_kwh": "/kWh",
    "per_gj": "/GJ",
    "per_kw": "/kW",
    "per_kelvin_litre": "/(K·l)",
    "per_volt": "/V",
    "per_ampere": "/A",
    "times_second": "·s",
    "times_second_per_volt": "·s/V",
    "times_second_per_ampere": "·s/A",
    "times_flow_temperature": "·°C/100",
    "times_return_temperature": "·°C/100",
}


def name_fields(records: Sequence[Record], wishes: RecordWishes = NO_RECORD_WISHES) -> dict[str, Field]:
    """The fields of a telegram by name, in the order of its records, as wanted. Any thread.

    A record that was sent twice, byte for byte, is one field. Records of which nothing
    can be said (manufacturer's or unknown ones without data) have none.
    """
    fields: dict[str, Field] = {}
    for record, name in zip(records, field_names(records), strict=True):
        if name is not None and name not in fields:
            fields[name] = _field_of(name, record, wishes.of(name))
    return fields


def wished(fields: Mapping[str, Field], wishes: RecordWishes) -> Mapping[str, Field]:
    """``fields`` as wanted now, whatever was wanted when they were read; the same where nothing was and is.

    What is from no record stays as it is. Any thread.
    """
    if not wishes.wishes and all(field.wish is None for field in fields.values()):
        return fields
    return MappingProxyType(
        {
            name: field if field.record is None else _field_of(name, field.record, wishes.of(name))
            for name, field in fields.items()
        }
    )


def _field_of(name: str, record: Record, wish: RecordWish | None) -> Field:
    value, unit = normalise(record.value, record.unit, record.quantity)
    unit += _suffix_of_unit(record)
    if wish is not None:
        value, unit = wish.applied(value, unit)
    return Field(name, value, unit, record, wish)


def field_names(records: Sequence[Record]) -> list[str | None]:
    """The name of each record's field; None for a record that gets none."""
    groups: dict[str, list[int]] = {}
    for index, record in enumerate(records):
        if not _says_nothing(record):
            groups.setdefault(_plain_name(record), []).append(index)
    names: list[str | None] = [None] * len(records)
    for name, group in groups.items():
        if len(group) == 1:
            names[group[0]] = name
        else:
            _tell_apart(name, group, records, names)
    _keep_apart(records, names)
    return names


def _says_nothing(record: Record) -> bool:
    return record.quantity.slug in ("manufacturer_specific", "unknown") and record.value in (None, "")


def _plain_name(record: Record) -> str:
    return _name(
        record.quantity.slug if record.text_unit is None else slug(record.text_unit) or record.quantity.slug,
        record.qualifiers,
        record.subunit,
        record.tariff,
        record.storage,
        record.function,
    )


@lru_cache(maxsize=4096)
def _name(
    quantity: str, qualifiers: tuple[str, ...], subunit: int, tariff: int, storage: int, function: Function
) -> str:
    parts = [quantity, *qualifiers]
    for word, number in (("subunit", subunit), ("tariff", tariff), ("storage", storage)):
        if number:
            parts.append(f"{word}_{number}")
    return "_".join(parts) + _FUNCTION_SUFFIX[function]


@lru_cache(maxsize=1024)
def slug(text: str) -> str:
    """A text in snake case of a to z and 0 to 9, umlauts written out; "" when nothing of it is left."""
    ascii_text = unicodedata.normalize("NFKD", text.translate(_UMLAUTS)).encode("ascii", "ignore").decode().lower()
    words = "".join(letter if letter.isalnum() else " " for letter in ascii_text).split()
    return "_".join(words)


def _tell_apart(name: str, group: list[int], records: Sequence[Record], names: list[str | None]) -> None:
    """Names for records that mean the same: by unit, then by VIB, then by DIB, last by the order they were sent in.

    Only records with the same head, byte for byte, and different data depend on their order.
    """
    units = {index: normalise(None, records[index].unit, records[index].quantity)[1] for index in group}
    tries: list[tuple[Callable[[int], Hashable], Callable[[int], str]]] = [
        (lambda index: _unit_rank(units[index]), lambda index: slug(units[index]) or "raw"),
        (lambda index: (len(records[index].vib), records[index].vib), lambda index: f"vib_{records[index].vib.hex()}"),
        (lambda index: (len(records[index].dib), records[index].dib), lambda index: f"dib_{records[index].dib.hex()}"),
    ]
    _split(name, group, tries, records, names)


def _split(
    name: str,
    group: list[int],
    tries: list[tuple[Callable[[int], Hashable], Callable[[int], str]]],
    records: Sequence[Record],
    names: list[str | None],
) -> None:
    """Splits a group by the first key; the class that comes first keeps the plain name."""
    if not tries:
        _number(name, group, records, names)
        return
    key, suffix = tries[0]
    classes: dict[Hashable, list[int]] = {}
    for index in group:
        classes.setdefault(key(index), []).append(index)
    for rank, (_, members) in enumerate(sorted(classes.items())):
        own = name if rank == 0 else f"{name}_{suffix(members[0])}"
        _split(own, members, tries[1:], records, names)


def _number(name: str, group: list[int], records: Sequence[Record], names: list[str | None]) -> None:
    """Same head: the same data is the same field; other data gets a number."""
    seen: dict[bytes, str] = {}
    for index in group:
        data = records[index].data
        if data not in seen:
            seen[data] = f"{name}_{len(seen) + 1}" if seen else name
        names[index] = seen[data]


def _keep_apart(records: Sequence[Record], names: list[str | None]) -> None:
    """A text of a meter may spell the name of another field ("volume 2"); no field is lost to that."""
    owners: dict[str, bytes] = {}
    for index, name in enumerate(names):
        if name is None:
            continue
        record = records[index]
        raw = record.dib + record.vib + record.data
        if owners.setdefault(name, raw) != raw:
            names[index] = name = f"{name}_vib_{record.vib.hex()}"
            owners.setdefault(name, raw)


def _unit_rank(unit: str) -> tuple[int, str]:
    rank = _PREFERRED_UNITS.index(unit) if unit in _PREFERRED_UNITS else len(_PREFERRED_UNITS)
    return rank, unit


def _suffix_of_unit(record: Record) -> str:
    if not record.qualifiers or record.quantity.kind is Kind.TIME_POINT:
        return ""
    return "".join(_UNIT_SUFFIX.get(word, "") for word in record.qualifiers)
