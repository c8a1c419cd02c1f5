"""Lobaro's answers in our form: header and records of ``Body.DataRecords``, wherever in the answer they are.

The numbers of the answer are binary floats. So each record is decoded anew from its own bytes
(``DifVif`` and ``Data``), which gives exact values, the right date types and our names; what the
service computed is only used where those bytes are missing. Every field is optional: versions of
the service differ.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation

from mbusgw.mbus.profile import expand_profiles
from mbusgw.mbus.records import decode_records
from mbusgw.model.errors import (
    FormatUnknown,
    KeyMissing,
    KeyWrong,
    LobaroBadRequestError,
    ModeUnsupported,
)
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.quantity import QUANTITIES, Quantity
from mbusgw.model.record import Function, Record, Value
from mbusgw.model.telegram import DecodedTelegram, Header

Object = Mapping[str, object]

#: How deep ``DataRecords`` are looked for.
_DEPTH = 8

_FUNCTIONS = {
    "current value": Function.INSTANTANEOUS,
    "instantaneous value": Function.INSTANTANEOUS,
    "maximum value": Function.MAXIMUM,
    "minimum value": Function.MINIMUM,
    "value during error state": Function.ERROR,
    "error value": Function.ERROR,
}

#: What the service calls otherwise than we do, in its spelling.
_QUANTITIES = {
    "%": "relative_humidity",  # it tells the quantity as unit, and the unit as quantity
    "(enhanced) identification": "enhanced_identification",
    "access number": "access_no",
    "baudrate": "baud_rate",
    "cumul count max power": "cumulated_max_power",
    "data container for wmbus": "wireless_container",
    "datacontainer for manufactuerer specific protocol": "manufacturer_container",
    "date and time of battery change": "battery_change",
    "device type": "medium",
    "fabrication no": "fabrication_no",
    "first storage # for cyclic storage": "first_storage",
    "h.c.a.": "hca",
    "interval of data transmission": "transmission_period",
    "last storage # for cyclic storage": "last_storage",
    "manufacturer specific data": "manufacturer_specific",
    "number of counter stops": "stop_counter",
    "phase u-l": "phase_voltage_current",
    "phase u-u": "phase_voltage_voltage",
    "point in time": "second",
    "receive window management": "listening_window",
    "receiver sensitivity": "rf_level",
    "summertime (begin, end, deviation": "daylight_saving",
    "time & date": "datetime",
}
_TITLES = {quantity.title.casefold(): quantity for quantity in QUANTITIES.values()}
_UNITS = {
    "American gallon": "gal",
    "American gallon/h": "gal/h",
    "American gallon/min": "gal/min",
    "Baud": "Bd",
    "Bittimes": "bit times",
    "Currency units": "",
    "Relative humidity": "%",
    "Units for H.C.A.": "",
    "feet^3": "ft³",
    "kVA/h": "kVAh",
    "kVAR": "kvar",
    "kVAR/h": "kvarh",
    "m^3": "m³",
    "m^3/h": "m³/h",
    "m^3/min": "m³/min",
    "m^3/s": "m³/s",
}


def find_telegram(document: object, depth: int = _DEPTH) -> Object | None:
    """The outermost object that has data records, in itself or in its ``Body``; None where there is none."""
    if isinstance(document, Mapping):
        if "DataRecords" in document or "DataRecords" in _object(document, "Body"):
            return document
        children: list[object] = list(document.values())
    elif isinstance(document, list):
        children = document
    else:
        return None
    if depth == 0:
        return None
    found = (find_telegram(child, depth - 1) for child in children)
    return next((telegram for telegram in found if telegram is not None), None)


def named_meter(domain_model: Object) -> str | None:
    """The number of the meter that an answer without records is about; None where it names none. Any thread."""
    for name, value in domain_model.items():
        if name.casefold().replace("_", "") in ("meterid", "idstring"):
            return _meter_id(value)
    return None


def decode_answer(document: Object, *, key_given: bool) -> DecodedTelegram:
    """The telegram in an answer. Any thread.

    Raises ``KeyMissing``, ``KeyWrong``, ``ModeUnsupported`` and ``FormatUnknown`` as the answer's flags say,
    ``LobaroBadRequestError`` where it holds no telegram.
    """
    top = find_telegram(document) or document
    body = _object(top, "Body") or top
    _check_flags(top, body, key_given)
    listed = body.get("DataRecords")
    parse_error = str(body.get("BodyParseError") or top.get("BodyParseError") or "")
    if not isinstance(listed, list):
        if listed is None and _identity(top) is not None and not parse_error:
            listed = []
        else:
            raise LobaroBadRequestError(f"Lobaro found no records in this telegram{parse_error and ': '}{parse_error}")
    records = tuple(_record(entry) for entry in listed if isinstance(entry, Mapping))
    rest = decode_records(_bytes(body.get("Raw")))
    return DecodedTelegram(
        _header(top),
        records + expand_profiles(records),
        manufacturer_data=rest.manufacturer_data,
        more_records_follow=rest.more_records_follow,
        problems=(parse_error,) if parse_error else (),
    )


def _check_flags(top: Object, body: Object, key_given: bool) -> None:
    encrypted, failed = body.get("IsEncrypted") is True, body.get("DecryptionFailed") is True
    if failed and key_given:
        raise KeyWrong("Lobaro cannot decrypt this telegram with the key given")
    if failed or (encrypted and not key_given):
        raise KeyMissing("Lobaro has no key for this telegram")
    if encrypted:
        mode = _object(top, "Header").get("EncryptionModeString") or "unknown"
        raise ModeUnsupported(f"Lobaro cannot decrypt this telegram (security mode: {mode})")
    if top.get("HasCrc") is True and top.get("CrcValid") is False:
        raise FormatUnknown("Lobaro says that the telegram's CRC is wrong")


# ------------------------------------------------------------------ the meter
def _header(top: Object) -> Header:
    inner = _object(top, "Header")
    configuration = inner.get("ConfigField")
    return Header(
        ci=_number(top.get("CiField")) or 0,
        meter=_identity(top),
        access_no=_number(inner.get("AccessNumber")),
        status=_number(inner.get("StatusByte")),
        configuration=_word(configuration) if isinstance(configuration, list) else None,
    )


def _identity(top: Object) -> MeterIdentity | None:
    """The meter: of the transport header where that names one, else of the link layer."""
    inner = _object(top, "Header")
    named = bool(inner.get("IdString"))
    source, medium = (inner, inner.get("DeviceType")) if named else (top, top.get("Device"))
    meter_id = _meter_id(source.get("IdString"))
    if meter_id is None:
        return None
    manufacturer = str(source.get("MFieldCodeString") or "") or None
    return MeterIdentity(meter_id, manufacturer, _number(source.get("Version")), _number(medium) or 0)


def _meter_id(value: object) -> str | None:
    meter_id = str(value or "").upper()
    return meter_id if len(meter_id) == 8 and set(meter_id) <= set("0123456789ABCDEF") else None


def _word(field: list[object]) -> int | None:
    """The configuration field, which the service gives as its two bytes, the high one last."""
    if len(field) != 2 or not all(isinstance(byte, int) for byte in field):
        return None
    low, high = (_number(byte) or 0 for byte in field)
    return (high << 8 | low) & 0xFFFF


# ------------------------------------------------------------------ records
def _record(entry: Object) -> Record:
    head, data = _bytes(entry.get("DifVif")), _bytes(entry.get("Data"))
    for candidate in _encodings(head, data):
        block = decode_records(candidate)
        if block.broken is None and len(block.records) == 1 and block.manufacturer_data is None:
            return block.records[0]
    return _told_record(entry, head, data)


def _encodings(head: bytes, data: bytes) -> Iterator[bytes]:
    """The record as sent; a field of variable length may have lost its length byte."""
    if not head:
        return
    yield head + data
    if head[0] & 0x0F == 0x0D and len(data) <= 0xBF:
        yield head + bytes((len(data),)) + data


def _told_record(entry: Object, head: bytes, data: bytes) -> Record:
    """A record from what the service says about it, where its bytes do not tell."""
    unit = str(entry.get("VifUnit") or "")
    value = _told_value(entry)
    return Record(
        quantity=_quantity(str(entry.get("VifQuantity") or "")),
        unit="" if isinstance(value, str) else _UNITS.get(unit, unit),
        value=value,
        function=_FUNCTIONS.get(str(entry.get("DifFunctionString") or "").casefold(), Function.INSTANTANEOUS),
        storage=_number(entry.get("StorageNo")) or 0,
        tariff=_number(entry.get("Tariff")) or 0,
        subunit=_number(entry.get("DifSubunit")) or 0,
        vib=head,
        data=data,
        problem=None if value is not None else "the parser gave no value",
    )


def _told_value(entry: Object) -> Value | None:
    value, factor = entry.get("Value"), entry.get("VifExponent")
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        text = entry.get("ValueString")
        return str(text) if text else None
    try:
        number = value * Decimal(str(factor)) if isinstance(factor, (int, Decimal)) else Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _quantity(name: str) -> Quantity:
    wanted = name.casefold()
    if wanted in _QUANTITIES:
        return QUANTITIES[_QUANTITIES[wanted]]
    return _TITLES.get(wanted) or QUANTITIES.get(wanted.replace(" ", "_")) or QUANTITIES["unknown"]


# ------------------------------------------------------------------ reading a tolerant JSON
def _object(parent: Object, name: str) -> Object:
    child = parent.get(name)
    return child if isinstance(child, Mapping) else {}


def _number(value: object) -> int | None:
    """An integer, also one written as hex text (``0x03``)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        try:
            return int(value, 16)
        except ValueError:
            return None
    return None


def _bytes(value: object) -> bytes:
    """Hex text with or without ``0x``; empty where it is none."""
    if not isinstance(value, str):
        return b""
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except ValueError:
        return b""
