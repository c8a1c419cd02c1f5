"""Telegrams, meters and values as plain documents: for ``mbusgw decode --json``, MQTT and HTTP alike.

Keys of a telegram: ``ok``, ``error``, ``header`` (``id manufacturer version medium medium_name type access_no status
configuration address ci``), ``structure``, ``records`` (``function storage tariff subunit quantity unit value
field qualifiers dib vib data problem``), ``mfr_data`` (hex or null), ``more_records_follow``, ``problems``.
Numbers stay ``int`` and ``Decimal``; dates and times are ISO text without a zone.
"""
from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal

from mbusgw.model.errors import ApplicationError, MbusgwError
from mbusgw.model.fields import field_names
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.reading import Field
from mbusgw.model.reception import RadioLink
from mbusgw.model.record import Record, Value
from mbusgw.model.telegram import DecodedTelegram, Header

Document = dict[str, object]


def telegram_document(telegram: DecodedTelegram) -> Document:
    """The document of a telegram that was decoded. Any thread."""
    names = field_names(telegram.records)
    return {
        "ok": True,
        "error": None,
        "header": header_document(telegram.header),
        "structure": telegram.structure,
        "records": [record_document(record, name) for record, name in zip(telegram.records, names, strict=True)],
        "mfr_data": telegram.manufacturer_data.hex() if telegram.manufacturer_data is not None else None,
        "more_records_follow": telegram.more_records_follow,
        "problems": list(telegram.problems),
    }


def failure_document(error: MbusgwError) -> Document:
    """The document of a telegram that could not be decoded: same keys, ``ok`` false, ``error`` says why."""
    document: Document = {
        "ok": False,
        "error": str(error),
        "error_type": type(error).__name__,
        "header": {},
        "records": [],
        "mfr_data": None,
        "more_records_follow": False,
    }
    if isinstance(error, ApplicationError):
        document["application_error"] = error.code
    return document


def header_document(header: Header) -> Document:
    """The transport header. ``type`` is the medium under the name that radio people use."""
    meter = header.meter
    return {
        "id": meter.id if meter else None,
        "manufacturer": _letters(meter.manufacturer) if meter else None,
        "version": meter.version if meter else None,
        "medium": meter.medium if meter else None,
        "medium_name": meter.medium_name if meter else None,
        "type": meter.medium if meter else None,
        "access_no": header.access_no,
        "status": header.status,
        "configuration": header.configuration,
        "address": header.address,
        "ci": f"{header.ci:02X}",
    }


def _letters(manufacturer: str | None) -> str | None:
    """The three characters of the M field as other tools print them, also where they are no letters (``@@@``)."""
    if manufacturer is None or not manufacturer.startswith("0x"):
        return manufacturer
    code = int(manufacturer, 16)
    return "".join(chr((code >> shift & 0x1F) + 64) for shift in (10, 5, 0))


def record_document(record: Record, name: str | None = None) -> Document:
    """One record; ``field`` is the topic name it got, None where it has none."""
    return {
        "function": record.function.value,
        "storage": record.storage,
        "tariff": record.tariff,
        "subunit": record.subunit,
        "quantity": record.text_unit or record.quantity.title,
        "unit": record.unit,
        "value": plain_value(record.value),
        "field": name,
        "qualifiers": list(record.qualifiers),
        "dib": record.dib.hex(),
        "vib": record.vib.hex(),
        "data": record.data.hex(),
        "problem": record.problem,
    }


def meter_document(meter: MeterIdentity | None) -> Document | None:
    """Who a meter is."""
    if meter is None:
        return None
    return {
        "id": meter.id,
        "manufacturer": meter.manufacturer,
        "version": meter.version,
        "medium": meter.medium,
        "medium_name": meter.medium_name,
    }


def fields_document(fields: Mapping[str, Field]) -> Document:
    """Each field's value and unit, by name."""
    return {name: {"value": plain_value(field.value), "unit": field.unit} for name, field in fields.items()}


def radio_document(radio: RadioLink | None) -> Document | None:
    """How a radio meter is heard; None of a wired one."""
    if radio is None:
        return None
    best, completeness = radio.best, radio.completeness
    return {
        "last_heard_at": radio.last_at,
        "interval_s": None if radio.interval_s is None else round(radio.interval_s, 1),
        "completeness_percent": None if completeness is None else round(100 * completeness, 1),
        "best_gateway": best.gateway_id if best else None,
        "best_rssi_dbm": best.rssi_dbm if best else None,
        "gateways": {one.gateway_id: {"rssi_dbm": one.rssi_dbm, "heard_at": one.heard_at} for one in radio.receptions},
    }


def plain_value(value: Value | None) -> Decimal | int | str | None:
    """A value as JSON knows it; a decimal that counts in thousands becomes an int, or it would be written 5E+3."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Decimal) and value.as_tuple().exponent in range(1, 100):
        return int(value)
    return value
