"""A wired frame to a telegram: link layer, transport header, records (EN 13757-2 and -3)."""
from __future__ import annotations

from mbusgw.mbus.fixed import decode_fixed
from mbusgw.mbus.frames import LongFrame, parse
from mbusgw.mbus.records import RecordBlock, decode_records
from mbusgw.model.errors import ApplicationError, DecodeError, FormatUnknown, FrameDamaged, ModeUnsupported
from mbusgw.model.meter import MeterIdentity, manufacturer_text
from mbusgw.model.telegram import DecodedTelegram, Header
from mbusgw.model.wording import counted

#: CI fields of a meter's answer that carry data records. 76 and 77 are the older mode 2: high byte first.
CI_LONG_HEADER = 0x72
CI_LONG_HEADER_MODE_2 = 0x76
CI_FIXED = 0x73
CI_FIXED_MODE_2 = 0x77
CI_NO_HEADER = 0x78
CI_SHORT_HEADER = 0x7A
CI_APPLICATION_ERROR = 0x70
CI_APPLICATION_ERROR_SHORT_HEADER = 0x6E
CI_APPLICATION_ERROR_LONG_HEADER = 0x6F

LONG_HEADER_LENGTH = 12
SHORT_HEADER_LENGTH = 4

#: Bytes of header before the code of an application error.
_BEFORE_ERROR_CODE = {
    CI_APPLICATION_ERROR: 0,
    CI_APPLICATION_ERROR_SHORT_HEADER: SHORT_HEADER_LENGTH,
    CI_APPLICATION_ERROR_LONG_HEADER: LONG_HEADER_LENGTH,
}

#: Security modes whose configuration field counts encrypted blocks, and what decrypted data begin with.
_CBC_MODES = (5, 7)
_BLOCK_LENGTH = 16
_FILLERS = b"\x2f\x2f"
#: What the "no value" of all data types consists of.
_NO_VALUE_BYTES = frozenset((0x00, 0x7F, 0x80, 0xFF))

#: Application errors (EN 13757-3:2018, 11 and older editions).
APPLICATION_ERRORS = {
    0x00: "unspecified error",
    0x01: "unimplemented CI field",
    0x02: "buffer too long, truncated",
    0x03: "too many records",
    0x04: "premature end of record",
    0x05: "more than 10 DIFEs",
    0x06: "more than 10 VIFEs",
    0x08: "application busy",
    0x09: "too many readouts",
    0x10: "access denied",
    0x11: "application unknown",
    0x12: "parameter error",
    0x13: "unknown receiver address",
    0x14: "decryption failed",
    0x15: "encryption method not supported",
    0x16: "signature method not supported",
}

#: What other CI fields announce, to name them in the refusal.
_OTHER_CI = {
    0x50: "an application reset (to the meter)",
    0x51: "data sent to a meter",
    0x52: "a selection (to the meter)",
    0x53: "an application selection (to the meter)",
    0x54: "a synchronisation (to the meter)",
    0x55: "data sent to a meter, mode 2",
    0x56: "a selection (to the meter), mode 2",
    0x5A: "data sent to a meter, short header",
    0x5B: "data sent to a meter, long header",
    0x6C: "a clock setting (to the meter)",
    0x6D: "a clock adjustment (to the meter)",
    0x71: "an alarm",
    0x75: "an alarm",
    0x74: "an alarm",
    0x79: "a compact frame, whose format is sent elsewhere",
    0x7B: "a compact frame, whose format is sent elsewhere",
    0x90: "an authentication and fragmentation layer",
}


def decode_frame(raw: bytes) -> DecodedTelegram:
    """What a meter's answer says: one complete long frame, from 68 to 16. Any thread.

    Raises ``ApplicationError`` when the meter sent one, ``FormatUnknown`` when this is no
    valid frame or not one with records, ``DecodeError`` when the records end in the
    middle or cannot be delimited, ``ModeUnsupported`` when they are encrypted; never anything else.
    """
    try:
        frame = parse(raw)
    except FrameDamaged as damaged:
        raise FormatUnknown(f"no valid frame: {damaged}") from None
    if not isinstance(frame, LongFrame):
        raise FormatUnknown("a frame without data")
    return _decode(frame)


def _decode(frame: LongFrame) -> DecodedTelegram:
    ci, data = frame.ci, frame.data
    if ci in _BEFORE_ERROR_CODE:
        raise application_error(data[_BEFORE_ERROR_CODE[ci] :])
    if ci in (CI_FIXED, CI_FIXED_MODE_2):
        return decode_fixed(data, ci=ci, address=frame.address, most_significant_first=ci == CI_FIXED_MODE_2)
    mode_2 = ci == CI_LONG_HEADER_MODE_2
    if ci == CI_LONG_HEADER or mode_2:
        header = decode_long_header(data, ci=ci, address=frame.address, most_significant_first=mode_2)
        payload = data[LONG_HEADER_LENGTH:]
    elif ci == CI_SHORT_HEADER:
        header = decode_short_header(data, ci=ci, address=frame.address)
        payload = data[SHORT_HEADER_LENGTH:]
    elif ci == CI_NO_HEADER:
        header, payload = Header(ci, address=frame.address), data
    else:
        raise FormatUnknown(f"CI {ci:02X}: {describe_ci(ci)}")
    block = decode_records(payload, most_significant_first=mode_2)
    if _seems_encrypted(header, payload, block):
        raise ModeUnsupported("the data are encrypted, which is not supported on the wire")
    return _telegram(header, block)


def identity_of(frame: LongFrame) -> MeterIdentity | None:
    """Who says that it sent ``frame``; None where it does not say (short header, no header, a damaged one)."""
    ci, data = frame.ci, frame.data
    try:
        if ci in (CI_LONG_HEADER, CI_LONG_HEADER_MODE_2):
            return decode_long_header(data, ci=ci, most_significant_first=ci == CI_LONG_HEADER_MODE_2).meter
        if ci in (CI_FIXED, CI_FIXED_MODE_2):
            mode_2 = ci == CI_FIXED_MODE_2
            return decode_fixed(data, ci=ci, address=frame.address, most_significant_first=mode_2).header.meter
    except FormatUnknown:
        pass
    return None


def is_application_error(frame: LongFrame) -> bool:
    """The meter says what is wrong instead of sending data."""
    return frame.ci in _BEFORE_ERROR_CODE


def decode_long_header(
    data: bytes, *, ci: int, address: int | None = None, most_significant_first: bool = False
) -> Header:
    """The 12 bytes of a long transport header (EN 13757-7, 7.3). Raises ``FormatUnknown`` when there are fewer."""
    if len(data) < LONG_HEADER_LENGTH:
        raise FormatUnknown(f"the long header has {LONG_HEADER_LENGTH} bytes, this has {len(data)}")
    number, maker, word = data[0:4], data[4:6], data[10:12]
    if most_significant_first:
        number, maker, word = number[::-1], maker[::-1], word[::-1]
    meter = MeterIdentity(
        number[::-1].hex().upper(), manufacturer_text(int.from_bytes(maker, "little")), data[6], data[7]
    )
    return Header(ci, meter, address, data[8], data[9], int.from_bytes(word, "little"))


def decode_short_header(data: bytes, *, ci: int, address: int | None = None) -> Header:
    """The 4 bytes of a short transport header. Raises ``FormatUnknown`` when there are fewer."""
    if len(data) < SHORT_HEADER_LENGTH:
        raise FormatUnknown(f"the short header has {SHORT_HEADER_LENGTH} bytes, this has {len(data)}")
    return Header(ci, None, address, data[0], data[1], int.from_bytes(data[2:4], "little"))


def application_error(data: bytes) -> ApplicationError:
    """The error that follows CI 70; a meter that gives no code reports an unspecified one."""
    code = data[0] if data else 0
    name = APPLICATION_ERRORS.get(code)
    if name is None:
        name = "an error of its manufacturer's" if code >= 0xF0 else "an error the standard does not name"
    return ApplicationError(code, f"the meter reports application error {code}: {name}")


def describe_ci(ci: int) -> str:
    """What a CI field without records for us stands for."""
    if ci in _OTHER_CI:
        return _OTHER_CI[ci]
    if 0xA0 <= ci <= 0xB7:
        return "the manufacturer's own format"
    if 0xB8 <= ci <= 0xBF:
        return "a baud rate switch (to the meter)"
    return "no format we know"


def _seems_encrypted(header: Header, payload: bytes, block: RecordBlock) -> bool:
    """Whether the configuration field announces encrypted blocks and the data do not contradict (EN 13757-7, 7.5).

    Old meters send a signature of their own making in these two bytes: data that are
    right to the last byte are no cipher text.
    """
    word = header.configuration or 0
    size = (word >> 4 & 0x0F) * _BLOCK_LENGTH
    if word >> 8 & 0x1F not in _CBC_MODES or not 0 < size <= len(payload) or payload.startswith(_FILLERS):
        return False
    odd = (record for record in block.records if record.problem is not None and set(record.data) - _NO_VALUE_BYTES)
    return block.broken is not None or next(odd, None) is not None


def _telegram(header: Header, block: RecordBlock) -> DecodedTelegram:
    if block.broken is not None:
        raise DecodeError(f"the structure of the data is broken: {block.broken}")
    if block.more_records_follow and not block.records:
        # a page of a manufacturer's own protocol that only looks like a telegram
        raise FormatUnknown(
            f"more records are announced, but none is here: {counted(len(block.manufacturer_data or b''), 'byte')} of "
            "the manufacturer's own"
        )
    return DecodedTelegram(
        header, block.records, block.manufacturer_data, block.more_records_follow, problems=block.problems
    )
