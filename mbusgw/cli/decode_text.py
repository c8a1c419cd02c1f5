"""A decoded telegram in words: the header, each record with its bytes, what failed and why."""
from __future__ import annotations

from collections.abc import Sequence

from mbusgw.mbus.decode import CI_LONG_HEADER, LONG_HEADER_LENGTH
from mbusgw.mbus.frames import MAX_DATA, RSP_UD, LongFrame, encode
from mbusgw.mbus.oracle import OracleRecord, decode_with_meterbus
from mbusgw.model.errors import DecodeError
from mbusgw.model.fields import field_names
from mbusgw.model.meter import manufacturer_code
from mbusgw.model.record import Function, Record
from mbusgw.model.status import MANUFACTURERS, status_flags
from mbusgw.model.telegram import DecodedTelegram, Header
from mbusgw.model.units import plain_text
from mbusgw.model.wording import counted, in_words


def explanation(raw: bytes, telegram: DecodedTelegram, *, telegrams: int = 1) -> str:
    """Some lines for a person. ``telegrams``: how many of a readout were put together to this one."""
    lines = [*_header_lines(raw, telegram, telegrams), "", *_table(telegram.records)]
    if telegram.manufacturer_data is not None:
        lines.append(f"manufacturer's own data: {telegram.manufacturer_data.hex(' ').upper() or '(none)'}")
    if telegram.more_records_follow:
        lines.append("more records follow in the next telegram")
    lines += [f"note: {problem}" for problem in telegram.problems]
    return "\n".join(lines)


def _header_lines(raw: bytes, telegram: DecodedTelegram, telegrams: int) -> list[str]:
    header = telegram.header
    what = "wired M-Bus frame" if header.address is not None else "radio telegram"
    if telegrams > 1:
        what = f"{what}s ({telegrams})"
    lines = [f"{what}, {counted(len(raw), 'byte')}, CI {header.ci:02X}, {telegram.structure} structure"]
    if header.address is not None:
        lines.append(f"  address        {header.address}")
    if header.meter is not None:
        meter = header.meter
        lines.append(f"  meter          {meter.manufacturer or '(no manufacturer)'} {meter.id}")
        lines.append(f"  medium         {meter.medium_name} ({meter.medium:02X})")
        if meter.version is not None:
            lines.append(f"  version        {meter.version}")
    if header.access_no is not None:
        lines.append(f"  access number  {header.access_no}")
    if header.status is not None:
        lines.append(f"  status         {header.status:02X} ({_status_words(header.status)})")
    if header.address is None and header.configuration:
        lines.append(f"  security       mode {header.configuration >> 8 & 0x1F}")
    return lines


def _status_words(status: int) -> str:
    words = [flag.replace("_", " ") for flag in status_flags(status) or ()]
    if status & MANUFACTURERS:
        words.append(f"manufacturer's bits {status & MANUFACTURERS:02X}")
    return ", ".join(words) or "no errors"


# ------------------------------------------------------------------ records
def _table(records: Sequence[Record]) -> list[str]:
    if not records:
        return ["no records"]
    rows = [
        (str(number), _bytes_of(record), _meaning(record), _value(record), name or "")
        for number, (record, name) in enumerate(zip(records, field_names(records), strict=True), 1)
    ]
    return _columns(("#", "bytes", "meaning", "value", "field"), rows)


def _columns(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in (head, *rows)]


def _bytes_of(record: Record) -> str:
    parts = (record.dib, record.vib, record.data)
    text = " | ".join(part.hex(" ").upper() for part in parts if part)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _meaning(record: Record) -> str:
    words = [record.text_unit or record.quantity.title, *map(in_words, record.qualifiers)]
    if record.function is not Function.INSTANTANEOUS:
        words.append(f"({record.function.value})")
    for word, number in (("storage", record.storage), ("tariff", record.tariff), ("subunit", record.subunit)):
        if number:
            words.append(f"{word} {number}")
    return " ".join(words)


def _value(record: Record) -> str:
    if record.value is None:
        return f"none: {record.problem}" if record.problem else "none"
    text = f"{plain_text(record.value)} {record.unit}".rstrip()
    return f"{text} ({record.problem})" if record.problem else text


# ------------------------------------------------------------------ second opinion
def comparison(raw: bytes, telegram: DecodedTelegram) -> str:
    """How pyMeterBus reads the same records; a radio telegram's are put into a wired frame for it."""
    try:
        theirs = decode_with_meterbus(raw if telegram.header.address is not None else _as_wired(telegram))
    except DecodeError as error:
        return f"\n{error}"
    rows = []
    for number in range(max(len(theirs), len(telegram.records))):
        ours = telegram.records[number] if number < len(telegram.records) else None
        other = theirs[number] if number < len(theirs) else None
        rows.append((str(number + 1), _value(ours) if ours else "-", _their_value(other) if other else "-"))
    return "\n".join(["", *_columns(("#", "mbusgw", "pyMeterBus"), rows)])


def _their_value(record: OracleRecord) -> str:
    unit = record.unit.removeprefix("MeasureUnit.")
    return f"{'none' if record.value is None else record.value} {unit}".rstrip()


def _as_wired(telegram: DecodedTelegram) -> bytes:
    """The records as a meter on a wire would send them. Raises ``DecodeError`` where they do not fit."""
    data = _long_header(telegram.header) + b"".join(
        record.dib + record.vib + record.data for record in telegram.records
    )
    if len(data) > MAX_DATA:
        raise DecodeError("the telegram is too long for a wired frame, so pyMeterBus cannot be asked")
    return encode(LongFrame(RSP_UD, address=0, ci=CI_LONG_HEADER, data=data))


def _long_header(header: Header) -> bytes:
    meter = header.meter
    if meter is None:
        return bytes(LONG_HEADER_LENGTH)
    code = manufacturer_code(meter.manufacturer) if meter.manufacturer and meter.manufacturer.isalpha() else 0
    identity = bytes.fromhex(meter.id)[::-1] + code.to_bytes(2, "little") + bytes((meter.version or 0, meter.medium))
    return identity + bytes((header.access_no or 0, header.status or 0, 0, 0))
