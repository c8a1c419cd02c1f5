"""Data records of the variable data structure (EN 13757-3, 6), for both lanes.

One bad record never loses the others: a value that cannot be read is None with a
problem. Only where the length of a record cannot be known is what follows it lost;
``RecordBlock.broken`` says so, and the caller chooses what the records before are worth.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from mbusgw.mbus.values import (
    DATA_LENGTHS,
    FIELD_LVAR,
    Decoded,
    Reader,
    lvar_length,
    read_lvar,
    reader_for,
    scale_by,
)
from mbusgw.mbus.vib import BrokenBlock, Meaning, end_of_vib, read_vib
from mbusgw.mbus.vif_tables import Coding
from mbusgw.model.quantity import QUANTITIES, Quantity
from mbusgw.model.record import Function, Record

DIF_MANUFACTURER = 0x0F
DIF_MORE_RECORDS = 0x1F
DIF_FILLER = 0x2F
MAX_DIFE = 10
#: Below it a VIF is one byte, neither extended nor followed by a text.
_FIRST_UNUSUAL_VIF = 0x7C

_FUNCTIONS = (Function.INSTANTANEOUS, Function.MAXIMUM, Function.MINIMUM, Function.ERROR)
_LENGTH_OF_TIME_POINT = {2: "date", 3: "time", 4: "datetime", 6: "datetime"}


@dataclass(frozen=True, slots=True)
class RecordBlock:
    """The records of one telegram. **immutable**

    ``manufacturer_data``: what follows DIF 0F or 1F, None without such a DIF.
    ``format_bytes``: DIF to last VIFE of every record in order (the format of compact
    frames). ``broken``: why the structure is lost from some record on, or None; then
    ``rest`` holds the bytes from there.
    """

    records: tuple[Record, ...]
    manufacturer_data: bytes | None = None
    more_records_follow: bool = False
    problems: tuple[str, ...] = ()
    format_bytes: bytes = b""
    broken: str | None = None
    rest: bytes = b""


@dataclass(frozen=True, slots=True)
class _Template:
    """All that DIB and VIB say about a record, whatever its data. **immutable**"""

    quantity: Quantity
    unit: str
    function: Function
    storage: int
    tariff: int
    subunit: int
    meaning: Meaning
    dib: bytes
    vib: bytes
    length: int | None
    read: Reader
    scale: Callable[[int | Decimal], int | Decimal]


def decode_records(payload: bytes, *, most_significant_first: bool = False) -> RecordBlock:
    """Every record of the payload, which begins at the first DIF. Never raises. Any thread.

    ``most_significant_first``: data fields are sent so (mode 2, CI 76).
    """
    payload = bytes(payload)  # heads are remembered by their bytes; costs nothing when it is bytes already
    records: list[Record] = []
    heads: list[bytes] = []
    position, size = 0, len(payload)
    while position < size:
        dif = payload[position]
        if dif == DIF_FILLER:
            position += 1
            continue
        if dif == DIF_MANUFACTURER or dif == DIF_MORE_RECORDS:
            return RecordBlock(
                tuple(records), payload[position + 1 :], dif == DIF_MORE_RECORDS, (), b"".join(heads)
            )
        try:
            if dif < 0x80 and position + 1 < size and payload[position + 1] < _FIRST_UNUSUAL_VIF:
                data_start = position + 2  # most records: one DIF, one VIF
            else:
                data_start = end_of_vib(payload, end_of_dib(payload, position))
            head = payload[position:data_start]
            template = _template(head)
            data_end = _end_of_data(payload, data_start, template)
        except BrokenBlock as broken:
            why = f"record {len(records) + 1}: {broken}"
            problems = (f"{why}; it and what follows are lost",)
            return RecordBlock(
                tuple(records), None, False, problems, b"".join(heads), why, payload[position:]
            )
        heads.append(head)
        records.append(_record(template, payload[data_start:data_end], most_significant_first))
        position = data_end
    return RecordBlock(tuple(records), format_bytes=b"".join(heads))


def end_of_dib(payload: bytes, start: int) -> int:
    """Index after DIF and DIFEs of the record that begins at ``start``. Raises ``BrokenBlock``."""
    if payload[start] & 0x0F == 0x0F:
        raise BrokenBlock(f"DIF {payload[start]:02X} is reserved")
    position = start
    limit = start + 1 + MAX_DIFE
    try:
        while payload[position] & 0x80:
            position += 1
            if position >= limit:
                raise BrokenBlock(f"it has more than {MAX_DIFE} DIFEs")
    except IndexError:
        raise BrokenBlock("the data end inside its DIB") from None
    return position + 1


def _end_of_data(payload: bytes, start: int, template: _Template) -> int:
    """Index after the data field. Raises ``BrokenBlock``."""
    length = template.length
    if length is None:
        if start >= len(payload):
            raise BrokenBlock("the data end before its LVAR")
        length = lvar_length(payload[start])
        if length is None:
            raise BrokenBlock(f"LVAR {payload[start]:02X} is reserved")
        length += 1
    end = start + length
    if end > len(payload):
        raise BrokenBlock(f"the data end after {len(payload) - start} of its {length} bytes")
    return end


@lru_cache(maxsize=4096)
def _template(head: bytes) -> _Template:
    """Compiles DIB and VIB. Remembered: a meter sends the same heads every time."""
    dib_end = end_of_dib(head, 0)
    dib, vib = head[:dib_end], head[dib_end:]
    storage, tariff, subunit = _numbers(dib)
    field = dib[0] & 0x0F
    meaning = read_vib(vib)
    scale = scale_by(meaning.factor, meaning.offset, keep_int=not meaning.unit)
    length = DATA_LENGTHS[field]
    slug = meaning.quantity
    if slug in ("date", "datetime") and meaning.coding is Coding.TIME_POINT and length:
        slug = _LENGTH_OF_TIME_POINT.get(length, slug)
    return _Template(
        QUANTITIES[slug],
        meaning.unit,
        _FUNCTIONS[dib[0] >> 4 & 0x03],
        storage,
        tariff,
        subunit,
        meaning,
        dib,
        vib,
        length,
        reader_for(field, meaning.coding, scale) if field != FIELD_LVAR else _no_reader,
        scale,
    )


def _no_reader(data: bytes) -> Decoded:
    """Stands where ``read_lvar`` reads instead."""
    raise AssertionError("a field of variable length has no fixed reader")


def _numbers(dib: bytes) -> tuple[int, int, int]:
    """Storage number, tariff and subunit of a DIB (EN 13757-3, 6.3.3 and 6.3.4)."""
    storage, tariff, subunit = dib[0] >> 6 & 1, 0, 0
    for n, dife in enumerate(dib[1:]):
        storage |= (dife & 0x0F) << 4 * n + 1
        tariff |= (dife >> 4 & 0x03) << 2 * n
        subunit |= (dife >> 6 & 0x01) << n
    return storage, tariff, subunit


def _record(template: _Template, data: bytes, most_significant_first: bool) -> Record:
    """One record from its template and its data field."""
    meaning = template.meaning
    if template.length is None:
        body = data[:0:-1] if most_significant_first else data[1:]
        value, problem = read_lvar(data[0], body, meaning.coding, template.scale)
    else:
        value, problem = template.read(data[::-1] if most_significant_first else data)
    if meaning.problem is not None:
        problem = f"{meaning.problem}; {problem}" if problem else meaning.problem
        if not meaning.keeps_value:
            value = None
    return Record(
        template.quantity,
        "" if type(value) is str else template.unit,
        value,
        template.function,
        template.storage,
        template.tariff,
        template.subunit,
        meaning.qualifiers,
        meaning.text,
        template.dib,
        template.vib,
        data,
        problem,
    )
