"""Fields as JSON and back: how readings and states are kept on disk."""
from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from mbusgw.model.quantity import Kind, Quantity
from mbusgw.model.reading import Field
from mbusgw.model.record import Function, Record, Value
from mbusgw.model.wishes import RecordWish


def from_fields(fields: Mapping[str, Field]) -> dict[str, Any]:
    """A JSON document of ``fields``, in their order."""
    return {name: _from_field(field) for name, field in fields.items()}


def to_fields(document: Mapping[str, Any]) -> Mapping[str, Field]:
    """The fields of a document that ``from_fields`` made. Raises ``KeyError`` or ``ValueError`` for another."""
    return MappingProxyType({name: _to_field(name, entry) for name, entry in document.items()})


def _from_field(field: Field) -> dict[str, Any]:
    entry: dict[str, Any] = {"value": field.value, "type": _type_of(field.value), "unit": field.unit}
    if field.record is not None:
        entry["record"] = _from_record(field.record)
    if field.wish is not None:
        entry["wished"] = True
    return entry


def _from_record(record: Record) -> dict[str, Any]:
    quantity = record.quantity
    document: dict[str, Any] = {
        "quantity": [quantity.slug, quantity.title, quantity.kind.value],
        "unit": record.unit,
        "value": record.value,
        "type": _type_of(record.value),
        "function": record.function.value,
        "storage": record.storage,
        "tariff": record.tariff,
        "subunit": record.subunit,
        "dib": record.dib,
        "vib": record.vib,
        "data": record.data,
    }
    if record.qualifiers:
        document["qualifiers"] = record.qualifiers
    if record.text_unit is not None:
        document["text_unit"] = record.text_unit
    if record.problem is not None:
        document["problem"] = record.problem
    return document


def _to_field(name: str, entry: Mapping[str, Any]) -> Field:
    record = _to_record(entry["record"]) if "record" in entry else None
    # What was wanted is in the configuration; here only that something was, so that it can be undone.
    wish = RecordWish() if entry.get("wished") else None
    return Field(name, _to_value(entry["value"], entry["type"]), entry["unit"], record, wish)


def _to_record(document: Mapping[str, Any]) -> Record:
    slug, title, kind = document["quantity"]
    return Record(
        quantity=Quantity(slug, title, Kind(kind)),
        unit=document["unit"],
        value=_to_value(document["value"], document["type"]),
        function=Function(document["function"]),
        storage=document["storage"],
        tariff=document["tariff"],
        subunit=document["subunit"],
        qualifiers=tuple(document.get("qualifiers", ())),
        text_unit=document.get("text_unit"),
        dib=bytes.fromhex(document["dib"]),
        vib=bytes.fromhex(document["vib"]),
        data=bytes.fromhex(document["data"]),
        problem=document.get("problem"),
    )


def _type_of(value: Value | None) -> str:
    if isinstance(value, datetime):
        return "datetime"
    if isinstance(value, date):
        return "date"
    if isinstance(value, time):
        return "time"
    return "text" if isinstance(value, str) else "number"


def _to_value(value: Any, kind: str) -> Value | None:
    if value is None:
        return None
    if kind == "number":
        return value if isinstance(value, int) else Decimal(value)
    if kind == "datetime":
        return datetime.fromisoformat(value)
    if kind == "date":
        return date.fromisoformat(value)
    if kind == "time":
        return time.fromisoformat(value)
    return str(value)
