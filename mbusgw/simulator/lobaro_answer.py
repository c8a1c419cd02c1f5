"""What the Lobaro parser answers for a telegram, in the published shape, computed from our own decoder."""
from __future__ import annotations

import hashlib
from datetime import datetime
from decimal import Decimal

from mbusgw.mbus.records import decode_records
from mbusgw.mbus.values import BCD_FIELDS
from mbusgw.model.document import plain_value
from mbusgw.model.errors import DecodeError, KeyMissing, KeyWrong
from mbusgw.model.meter import manufacturer_text
from mbusgw.model.record import Function, Record
from mbusgw.wmbus.frame import LinkFormat, LinkFrame, parse_frame
from mbusgw.wmbus.security import MODES
from mbusgw.wmbus.signature import signature
from mbusgw.wmbus.telegram import open_telegram, peek_header
from mbusgw.wmbus.transport import Content, HeaderKind, TransportHeader

Document = dict[str, object]

_FUNCTIONS = {
    Function.INSTANTANEOUS: "Current Value",
    Function.MAXIMUM: "Maximum Value",
    Function.MINIMUM: "Minimum Value",
    Function.ERROR: "Value during error state",
}
_QUANTITIES = {"datetime": "Time & Date", "fabrication_no": "Fabrication No", "access_no": "Access Number"}
_UNITS = {"m³": "m^3", "m³/h": "m^3/h"}


def mbus_answer(raw: bytes, key: bytes | None) -> Document:
    """The answer of ``/api/mbus``; one that was not decrypted says so.

    Raises ``DecodeError`` for what is no telegram.
    """
    frame = parse_frame(raw)
    try:
        opened = open_telegram(frame, key)
    except (KeyWrong, KeyMissing):
        return _closed(frame, raw)
    block = decode_records(opened.payload)
    return _top(frame, raw, opened.header) | {
        "FormatSignature": signature(block.format_bytes),
        "FormatFrame": _hex(block.format_bytes),
        "Body": {
            "Raw": _hex(opened.payload),
            "DataRecords": [_record(record) for record in block.records],
            "PayloadKnown": block.broken is None,
            "IsEncrypted": False,
            "DecryptionFailed": False,
            "BlockCiField": 0,
        },
        "KeyIdentifier": hashlib.sha256(key).hexdigest().upper() if key and opened.secured_bytes else "",
    }


def meter_data_answer(raw: bytes, key: bytes | None) -> Document:
    """An answer of ``/api/meterData``: its real shape is not published, so this one is only plausible.

    Raises ``DecodeError``; with this endpoint that becomes an HTTP error.
    """
    opened = open_telegram(parse_frame(raw), key)
    meter = opened.identity
    current = next((record for record in decode_records(opened.payload).records if _is_main(record)), None)
    return {
        "meterId": meter.id,
        "manufacturer": meter.manufacturer,
        "type": f"{meter.medium:02x}",
        "version": meter.version,
        "currentValue": plain_value(current.value) if current else None,
        "unit": _UNITS.get(current.unit, current.unit) if current else "",
    }


def _is_main(record: Record) -> bool:
    return record.storage == 0 and record.function is Function.INSTANTANEOUS and isinstance(record.value, Decimal)


def _closed(frame: LinkFrame, raw: bytes) -> Document:
    """A telegram that could not be decrypted."""
    try:
        header = peek_header(frame)
    except DecodeError:
        header = TransportHeader(frame.ci, HeaderKind.NONE, Content.OTHER, frame.address, None, None, None, b"", b"")
    return _top(frame, raw, header) | {
        "FormatSignature": 0,
        "FormatFrame": "",
        "Body": {
            "Raw": _hex(header.rest),
            "DataRecords": None,
            "PayloadKnown": False,
            "IsEncrypted": True,
            "DecryptionFailed": True,
            "BlockCiField": 0,
        },
        "KeyIdentifier": "",
    }


def _top(frame: LinkFrame, raw: bytes, header: TransportHeader) -> Document:
    return {
        "Raw": _hex(frame.stripped),
        "RawWithCrc": _hex(raw) if frame.format is LinkFormat.A else "",
        "FrameFormat": "B" if frame.format is LinkFormat.B else "A",
        "Length": frame.stripped[0],
        "CField": f"0x{frame.control:02x}",
        "MField": _hex(frame.address[:2]),
        "MFieldCodeString": frame.manufacturer,
        "Id": int(frame.id, 16),
        "IdString": frame.id,
        "Version": frame.version,
        "Device": f"0x{frame.type:02x}",
        "CiField": f"0x{header.ci:02x}",
        "HeaderKnown": True,
        "PayloadKnown": True,
        "CrcValid": frame.format is not LinkFormat.STRIPPED,
        "HasCrc": frame.format is not LinkFormat.STRIPPED,
        "SourceType": "WMBUS",
        "IsCompactFrame": False,
        "ParserVersion": "1.11.3",
        "Header": _header(header),
        "Ell": None,
        "Afl": None,
    }


def _header(header: TransportHeader) -> Document:
    own = header.kind is HeaderKind.LONG
    meter = header.identity
    configuration = (header.configuration or 0).to_bytes(2, "little")
    return {
        "IdString": meter.id if own else "",
        "MFieldCodeString": manufacturer_text(int.from_bytes(header.address[:2], "little")) if own else "",
        "Version": meter.version if own else 0,
        "DeviceType": f"0x{meter.medium:02x}" if own else "0x00",
        "EncryptionMode": header.mode,
        "EncryptionModeString": MODES.get(header.mode, "reserved"),
        "EncryptedBlocks": header.encrypted_blocks,
        "AccessNumber": header.access_no or 0,
        "StatusByte": header.status or 0,
        "ConfigField": list(configuration),
    }


def _record(record: Record) -> Document:
    raw, factor = _raw_and_factor(record)
    text = record.value.isoformat() + "Z" if isinstance(record.value, datetime) else plain_value(record.value)
    return {
        "DifDataLength": len(record.data),
        "DifFunctionString": _FUNCTIONS[record.function],
        "DifSubunit": record.subunit,
        "VifUnit": _UNITS.get(record.unit, record.unit),
        "VifQuantity": _QUANTITIES.get(record.quantity.slug, record.quantity.title),
        "VifExponent": factor,
        "VifEDescription": "",
        "Value": raw,
        "ValueScaled": None if raw is None else raw * factor,
        "ValueString": "" if text is None else str(text),
        "Tariff": record.tariff,
        "StorageNo": record.storage,
        "DifVif": _hex(record.dib + record.vib),
        "Data": _hex(record.data),
    }


def _raw_and_factor(record: Record) -> tuple[int | None, Decimal]:
    """The number as sent, and what it is multiplied by; None where the record has no number."""
    if not record.dib or record.value is None or isinstance(record.value, str):
        return None, Decimal(1)
    digits = record.data[::-1].hex()
    is_bcd = record.dib[0] & 0x0F in BCD_FIELDS and digits.isdecimal()
    raw = int(digits) if is_bcd else int.from_bytes(record.data, "little", signed=True)
    if raw and isinstance(record.value, Decimal):
        return raw, record.value / raw
    return raw, Decimal(1)


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"
