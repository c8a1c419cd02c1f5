"""Records and answers as a meter sends them: the way back of ``mbus.records`` (EN 13757-3:2018, 6 and annex A)."""
from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache

from mbusgw.mbus import frames
from mbusgw.mbus.vif_tables import EXTENSION_FB, EXTENSION_FB_TABLE, EXTENSION_FD, EXTENSION_FD_TABLE, PRIMARY, Vif
from mbusgw.model.meter import MeterIdentity, manufacturer_code
from mbusgw.model.record import Function, Value


class DataType(Enum):
    """Data field of the DIF (table 4); the value is its code and the number of data bytes."""

    NONE = (0x0, 0)
    INT8 = (0x1, 1)
    INT16 = (0x2, 2)
    INT24 = (0x3, 3)
    INT32 = (0x4, 4)
    REAL32 = (0x5, 4)
    INT48 = (0x6, 6)
    INT64 = (0x7, 8)
    BCD2 = (0x9, 1)
    BCD4 = (0xA, 2)
    BCD6 = (0xB, 3)
    BCD8 = (0xC, 4)
    BCD12 = (0xE, 6)
    TEXT = (0xD, 0)  # LVAR and as many bytes as it says


_FUNCTION_BITS = {Function.INSTANTANEOUS: 0, Function.MAXIMUM: 1, Function.MINIMUM: 2, Function.ERROR: 3}
_INTEGERS = (DataType.INT8, DataType.INT16, DataType.INT24, DataType.INT32, DataType.INT48, DataType.INT64)
_TABLES: tuple[tuple[bytes, Mapping[int, Vif]], ...] = (
    (b"", PRIMARY),
    (bytes((EXTENSION_FB,)), EXTENSION_FB_TABLE),
    (bytes((EXTENSION_FD,)), EXTENSION_FD_TABLE),
)
_VARIABLE_CI = 0x72
_FIXED_CI = 0x73
_FIXED_COUNTER = 5
_LONGEST_TEXT = 0xBF


def encode_record(
    value: Value | None,
    vib: bytes,
    *,
    data_type: DataType,
    exponent: int = 0,
    multiplier: int | Decimal = 1,
    function: Function = Function.INSTANTANEOUS,
    storage: int = 0,
    tariff: int = 0,
    subunit: int = 0,
) -> bytes:
    """DIB, VIB and data of one record.

    ``value`` counts in the VIF's base unit: 12340 for 12.34 kWh with VIF 06 (Wh, exponent 3).
    Raises ``ValueError`` when the meter could not say it so: too big, too fine.
    """
    dib = encode_dib(data_type, function=function, storage=storage, tariff=tariff, subunit=subunit)
    if data_type is DataType.NONE or value is None:
        return dib + vib + b"\xFF" * data_type.value[1]
    if isinstance(value, (int, Decimal)) and data_type is not DataType.TEXT:
        value = _count(Decimal(value) / multiplier, exponent, exact=data_type is not DataType.REAL32)
    return dib + vib + encode_data(value, data_type)


def encode_dib(
    data_type: DataType,
    *,
    function: Function = Function.INSTANTANEOUS,
    storage: int = 0,
    tariff: int = 0,
    subunit: int = 0,
) -> bytes:
    """DIF and as many DIFEs as storage number, tariff and subunit need."""
    first = data_type.value[0] | _FUNCTION_BITS[function] << 4 | (storage & 1) << 6
    storage >>= 1
    dib = [first]
    while storage or tariff or subunit:
        dib.append((storage & 0xF) | (tariff & 0x3) << 4 | (subunit & 0x1) << 6)
        storage, tariff, subunit = storage >> 4, tariff >> 2, subunit >> 1
    if len(dib) > 11:
        raise ValueError("storage number, tariff or subunit does not fit into ten DIFEs")
    return bytes(byte | 0x80 for byte in dib[:-1]) + bytes(dib[-1:])


@lru_cache(maxsize=1024)
def find_vib(quantity: str, unit: str = "", *, exponent: int = 0, multiplier: int | Decimal = 1) -> bytes:
    """The VIB of a quantity by our tables. Raises ``ValueError`` when none has that unit and scale."""
    wanted = (quantity, unit, exponent, multiplier)
    for prefix, table in _TABLES:
        for code, vif in table.items():
            if (vif.quantity, vif.unit, vif.exponent, vif.multiplier) == wanted:
                return prefix + bytes((code,))
    raise ValueError(f"no VIF for {quantity} in {unit or 'no unit'} with exponent {exponent}, multiplier {multiplier}")


def extend_vib(vib: bytes, *vifes: int) -> bytes:
    """``vib`` followed by VIFEs, with the extension bits set as they must be."""
    codes = [*vib, *vifes]
    return bytes(code | 0x80 for code in codes[:-1]) + bytes((codes[-1] & 0x7F,))


def encode_data(value: Value, data_type: DataType) -> bytes:
    """The data field: integers (B), BCD (A), real (H), dates (F, G), text. Raises ``ValueError``."""
    if isinstance(value, datetime):
        return _only(data_type, DataType.INT32, _type_f(value))
    if isinstance(value, date):
        return _only(data_type, DataType.INT16, _type_g(value))
    if data_type is DataType.TEXT:
        return _text(str(value))
    if not isinstance(value, (int, Decimal)):
        raise ValueError(f"{type(value).__name__} has no form as {data_type.name}")
    if data_type is DataType.REAL32:
        return struct.pack("<f", value)
    if data_type in _INTEGERS:
        return _integer(int(value), data_type)
    return _bcd(int(value), data_type.value[1])


def long_frame(
    meter: MeterIdentity,
    records: bytes,
    *,
    address: int,
    access_no: int = 0,
    status: int = 0,
    manufacturer_data: bytes | None = None,
    more_records_follow: bool = False,
) -> bytes:
    """RSP_UD with variable data structure and long header (CI 72). Raises ``ValueError`` when it gets too long."""
    header = (
        bytes.fromhex(meter.id)[::-1]
        + manufacturer_code(meter.manufacturer or "AAA").to_bytes(2, "little")
        + bytes((meter.version or 0, meter.medium, access_no & 0xFF, status, 0, 0))
    )
    end = b""
    if more_records_follow:
        end = b"\x1F" + (manufacturer_data or b"")
    elif manufacturer_data is not None:
        end = b"\x0F" + manufacturer_data
    return frames.encode(frames.LongFrame(frames.RSP_UD, address, _VARIABLE_CI, header + records + end))


def fixed_frame(
    meter: MeterIdentity, records: bytes, *, address: int, access_no: int = 0, more_records_follow: bool = False
) -> bytes:
    """RSP_UD with fixed data structure (CI 73); ``records``: unit and four bytes of BCD of each of its two counters.

    Raises ``ValueError`` where there are not two.
    """
    if len(records) != 2 * _FIXED_COUNTER or more_records_follow:
        raise ValueError("the fixed structure has two counters and one telegram")
    units = (records[0] | (meter.medium & 0x03) << 6, records[_FIXED_COUNTER] | (meter.medium >> 2 & 0x03) << 6)
    counters = records[1:_FIXED_COUNTER] + records[_FIXED_COUNTER + 1 :]
    data = bytes.fromhex(meter.id)[::-1] + bytes((access_no & 0xFF, 0, *units)) + counters
    return frames.encode(frames.LongFrame(frames.RSP_UD, address, _FIXED_CI, data))


def _count(value: Decimal, exponent: int, *, exact: bool) -> Decimal:
    count = value.scaleb(-exponent)
    if exact and count != count.to_integral_value():
        raise ValueError(f"{value} is finer than a step of 10^{exponent}")
    return count


def _only(data_type: DataType, wanted: DataType, data: bytes) -> bytes:
    if data_type is not wanted:
        raise ValueError(f"this value is sent as {wanted.name}, not as {data_type.name}")
    return data


def _integer(value: int, data_type: DataType) -> bytes:
    try:
        return value.to_bytes(data_type.value[1], "little", signed=True)
    except OverflowError:
        raise ValueError(f"{value} does not fit into {data_type.name}") from None


def _bcd(value: int, size: int) -> bytes:
    digits = f"{abs(value):0{2 * size}d}"
    if value < 0:  # the highest digit makes room for the sign
        digits = "F" + digits[1:] if digits[0] == "0" and len(digits) == 2 * size else ""
    if not digits or len(digits) > 2 * size:
        raise ValueError(f"{value} does not fit into {2 * size} BCD digits")
    return bytes.fromhex(digits)[::-1]


def _text(value: str) -> bytes:
    data = value.encode("latin-1")[::-1]
    if len(data) > _LONGEST_TEXT:
        raise ValueError(f"a text has at most {_LONGEST_TEXT} characters")
    return bytes((len(data),)) + data


def _type_g(day: date) -> bytes:
    year = day.year % 100
    return bytes((day.day | (year & 0x07) << 5, day.month | (year >> 3) << 4))


def _type_f(moment: datetime) -> bytes:
    hundreds = (moment.year - 1900) // 100
    if not 0 <= hundreds <= 3:
        raise ValueError(f"type F reaches from 1900 to 2299, not {moment.year}")
    return bytes((moment.minute, moment.hour | hundreds << 5)) + _type_g(moment.date())
