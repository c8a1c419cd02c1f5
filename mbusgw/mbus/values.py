"""Data fields to values: integers, BCD, real and LVAR (EN 13757-3, annex A), exact.

A reader takes the bytes of a data field, least significant first, and returns the
value, or None and why there is none. No number passes through a binary float: a real32
becomes the shortest decimal that names it, so 21.1 stays 21.1.
"""
from __future__ import annotations

import math
import struct
from collections.abc import Callable
from decimal import Context, Decimal

from mbusgw.mbus.dates import decode_time_point
from mbusgw.mbus.vif_tables import Coding
from mbusgw.model.record import Value

Decoded = tuple[Value | None, str | None]
Reader = Callable[[bytes], Decoded]

#: Data field of the DIF (lower four bits) -> bytes of data; None: the first data byte tells (LVAR).
DATA_LENGTHS: tuple[int | None, ...] = (0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, None, 6)
FIELD_REAL = 0x05
FIELD_LVAR = 0x0D
BCD_FIELDS = frozenset((0x09, 0x0A, 0x0B, 0x0C, 0x0E))
_NO_DATA_FIELDS = frozenset((0x00, 0x08))

_INVALID = "the meter marks this value as invalid"
_NO_DATA: Decoded = (None, "the record has no data")
#: More bytes than a 64-bit number has are no count of anything.
_LONGEST_NUMBER = 8

#: From here on a number rounds to infinity in 32 bits.
_LARGEST_REAL = 3.4028235677973366e38

# wide enough for every data field, so that nothing is ever rounded; shared by all threads, only its flags change
EXACT = Context(prec=400, Emin=-9999, Emax=9999, traps=[])


def _plain(raw: int | Decimal) -> int | Decimal:
    return raw


def scale_by(factor: Decimal, offset: Decimal | None, *, keep_int: bool) -> Callable[[int | Decimal], int | Decimal]:
    """What turns a raw number into a value: ``raw × factor + offset``; ``keep_int`` leaves a bare count an int."""
    if offset is not None:
        addend = offset
        return lambda raw: EXACT.add(EXACT.multiply(raw, factor), addend)
    if keep_int and factor == 1:
        return _plain
    multiply = EXACT.multiply
    return lambda raw: multiply(raw, factor)


def reader_for(field: int, coding: Coding, scale: Callable[[int | Decimal], int | Decimal]) -> Reader:
    """The reader for a data field of the DIF, other than LVAR (``read_lvar``)."""
    if field in _NO_DATA_FIELDS:
        return lambda data: _NO_DATA
    if coding is Coding.TIME_POINT:
        if field in BCD_FIELDS or field == FIELD_REAL:
            return lambda data: (None, "a date or time is binary, this is not")
        return decode_time_point
    if field == FIELD_REAL:
        return lambda data: read_real(data, scale)
    if field in BCD_FIELDS:
        return read_digits if coding is Coding.DIGITS else lambda data: read_bcd(data, scale)
    if coding is Coding.NUMBER:
        return lambda data: read_signed(data, scale)
    return lambda data: (scale(int.from_bytes(data, "little")), None)


def read_signed(data: bytes, scale: Callable[[int | Decimal], int | Decimal]) -> Decoded:
    """Type B: two's complement; the smallest number means "invalid"."""
    raw = int.from_bytes(data, "little", signed=True)
    if raw < 0 and raw == -1 << 8 * len(data) - 1:
        return None, _INVALID
    return scale(raw), None


def read_bcd(data: bytes, scale: Callable[[int | Decimal], int | Decimal]) -> Decoded:
    """Type A: decimal digits; F as the top digit is a minus sign."""
    digits = data[::-1].hex()
    if digits.isdecimal():
        return scale(int(digits)), None
    if digits[0] == "f" and digits[1:].isdecimal():
        return scale(-int(digits[1:])), None
    return None, f"not decimal: {digits.upper()}"


def read_digits(data: bytes) -> Decoded:
    """An identification in BCD: text, because its leading zeros and hex digits belong to it."""
    return data[::-1].hex().upper(), None


def read_real(data: bytes, scale: Callable[[int | Decimal], int | Decimal]) -> Decoded:
    """Type H: IEEE 754, 32 bits."""
    number: float = struct.unpack("<f", data)[0]
    if not math.isfinite(number):
        return None, _INVALID if math.isnan(number) else "an infinite number"
    return scale(shortest_decimal(number)), None


def shortest_decimal(number: float) -> Decimal:
    """The decimal with the fewest digits that is read as this 32-bit float again."""
    if number == 0:
        return Decimal(0)
    for digits in range(1, 9):
        text = f"{number:.{digits}g}"
        if abs(float(text)) < _LARGEST_REAL and _to_real32(float(text)) == number:
            return Decimal(text)
    return Decimal(f"{number:.9g}")


def _to_real32(number: float) -> float:
    """The 32-bit float nearest to a number."""
    rounded: float = struct.unpack("<f", struct.pack("<f", number))[0]
    return rounded


def lvar_length(lvar: int) -> int | None:
    """How many bytes follow the LVAR byte; None where the standard assigns none (EN 13757-3, 6.3.5)."""
    if lvar <= 0xBF:
        return lvar
    if lvar <= 0xEF:
        return lvar & 0x0F
    if lvar <= 0xF4:
        return 4 * (lvar - 0xEC)
    return {0xF5: 48, 0xF6: 64}.get(lvar)


def read_lvar(
    lvar: int, data: bytes, coding: Coding, scale: Callable[[int | Decimal], int | Decimal]
) -> Decoded:
    """A field of variable length: text, BCD with its sign, or binary. ``data`` is what follows the LVAR byte."""
    if coding is Coding.RAW:
        return data.hex(), None
    if lvar <= 0xBF:
        return read_text(data)
    if not data:
        return _NO_DATA
    if coding is Coding.TIME_POINT:
        return decode_time_point(data) if lvar >= 0xE0 else (None, "a date or time is binary, this is not")
    if lvar <= 0xDF:
        if coding is Coding.DIGITS and lvar <= 0xCF:
            return read_digits(data)
        digits = data[::-1].hex()
        if not digits.isdecimal():
            return None, f"not decimal: {digits.upper()}"
        return scale(int(digits) if lvar <= 0xCF else -int(digits)), None
    if len(data) > _LONGEST_NUMBER:
        return data.hex(), None
    if coding is Coding.NUMBER:
        return read_signed(data, scale)
    return scale(int.from_bytes(data, "little")), None


def read_text(data: bytes) -> Decoded:
    """ISO 8859-1 text, sent last character first and padded with zeros or blanks; hex text where it is no text.

    Without a single ASCII character it is none: such bytes are a filling (AA…), or a number.
    """
    text = data[::-1].decode("latin-1").strip("\0 ")
    is_text = text.isprintable() and (not text or any(character.isascii() for character in text))
    return text if is_text else data.hex().upper(), None
