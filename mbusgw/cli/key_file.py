"""Lists of meters' keys as suppliers send them: CSV or JSON, with the headers they use.

A message never repeats what stands in the file: it may be a key in the wrong column.
"""
from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from typing import Any

from mbusgw.config.kinds import check_manufacturer, check_meter_id
from mbusgw.model.wording import counted
from mbusgw.store.keys import ANY, MeterKey

#: What a column is called: its name in small letters and digits alone.
_NAMES = {
    "meter_id": "meterid id serial serialno serialnumber serialnr meter meterno meternumber meterserial number device"
    " deviceid deviceserial identification zaehlernummer zählernummer zahlernummer seriennummer geraetenummer"
    " gerätenummer fabrikationsnummer",
    "manufacturer": "manufacturer man mfct mfr manuf maker manufacturerid manufacturercode hersteller herstellercode"
    " mfield",
    "key": "key aes aeskey aes128 aes128key keyhex hexkey decryptionkey encryptionkey radiokey wmbuskey omskey"
    " schluessel schlüssel funkschlüssel funkschluessel",
}
_COLUMNS = {name: column for column, names in _NAMES.items() for name in names.split()}
_DELIMITERS = ";,\t|"
_FILLERS = re.compile(r"[\s:-]|^0[xX]")


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be used, and why. **immutable**"""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class KeyList:
    """What a list holds: the good keys, and every bad line. **immutable**"""

    keys: Sequence[MeterKey]
    bad: Sequence[BadLine]


def read_keys(content: bytes) -> KeyList:
    """The keys of a CSV or JSON file. A meter that comes twice with different keys is bad the second time."""
    text = _text(content)
    keys: dict[tuple[str, str | None], MeterKey] = {}
    lines: dict[tuple[str, str | None], int] = {}
    bad = []
    entries = _json_entries(text) if text.lstrip()[:1] in ("{", "[") else _csv_entries(text)
    for line, entry in entries:
        try:
            key = _meter_key(entry)
            if key.who in keys and keys[key.who].key != key.key:
                raise ValueError(f"the meter has another key in line {lines[key.who]}")
        except ValueError as error:
            bad.append(BadLine(line, str(error)))
            continue
        keys.setdefault(key.who, key)
        lines.setdefault(key.who, line)
    if not keys and not bad:
        bad.append(BadLine(1, "there is no key in it"))
    return KeyList(list(keys.values()), bad)


def _text(content: bytes) -> str:
    for encoding in ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "latin-1"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return ""


def _meter_key(entry: Mapping[str, Any] | str) -> MeterKey:
    """Raises ``ValueError`` with everything that is wrong with one entry."""
    if isinstance(entry, str):
        raise ValueError(entry)
    wrong = []
    meter_id, maker, key = "", None, b""
    try:
        text = _plain(entry.get("meter_id"))
        meter_id = ANY if text == ANY else check_meter_id(text)
    except ValueError as error:
        wrong.append(str(error) if _plain(entry.get("meter_id")) else "the meter's number is missing")
    try:
        text = _plain(entry.get("manufacturer"))
        maker = check_manufacturer(text) if text else None
    except ValueError as error:
        wrong.append(str(error))
    try:
        key = _key(_plain(entry.get("key")))
    except ValueError as error:
        wrong.append(str(error))
    if meter_id == ANY and maker is None:
        wrong.append("a default key needs its manufacturer")
    if wrong:
        raise ValueError("; ".join(wrong))
    return MeterKey(meter_id, maker, key)


def _plain(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _key(text: str) -> bytes:
    digits = _FILLERS.sub("", text)
    if not digits:
        raise ValueError("the key is missing")
    if not re.fullmatch(r"[0-9A-Fa-f]*", digits):
        raise ValueError("a key is 32 hex digits (0-9, A-F); this one holds another character")
    if len(digits) != 32:
        raise ValueError(f"a key is 32 hex digits; this one has {len(digits)}")
    return bytes.fromhex(digits)


# ------------------------------------------------------------------ CSV
def _csv_entries(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """Line number and entry of each row; a row that cannot be split is a sentence instead."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True)
    columns: list[str] | None = None
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells) or cells[0].startswith("#"):
                continue
            if columns is None:
                columns, is_head = _columns(cells)
                if is_head:
                    if "meter_id" not in columns or "key" not in columns:
                        yield reader.line_num, "the head names no column for the meter (meter_id) and its key (key)"
                        return
                    continue
            if len(cells) > len(columns) and any(cells[len(columns):]):
                yield reader.line_num, f"it has {counted(len(cells), 'column')}, the head {len(columns)}"
                continue
            yield reader.line_num, dict(zip(columns, cells))
    except csv.Error as error:
        yield reader.line_num, f"this is no CSV: {error}"


def _delimiter(text: str) -> str:
    head = next((line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")), "")
    return max(_DELIMITERS, key=head.count)


def _columns(cells: Sequence[str]) -> tuple[list[str], bool]:
    """What the columns are, and whether this row is the head; without one, they are told by their looks."""
    named = [_COLUMNS.get(re.sub(r"[\W_]", "", cell.lower()), "") for cell in cells]
    if any(named):
        return named, True
    looks = []
    for cell in cells:
        if len(_FILLERS.sub("", cell)) == 32 and "key" not in looks:
            looks.append("key")
        elif re.fullmatch(r"[A-Za-z]{3}", cell) and "manufacturer" not in looks:
            looks.append("manufacturer")
        else:
            looks.append("" if "meter_id" in looks else "meter_id")
    return looks, False


# ------------------------------------------------------------------ JSON
def _json_entries(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """Each object of an array, of ``{"keys": [...]}``, of ``{"12345678": "KEY"}``, or one a line."""
    position = len(text) - len(text.lstrip())
    found = re.compile(r'\{\s*"keys"\s*:\s*\[').match(text, position)
    start = found.end() if found else position + 1 if text[position] == "[" else None
    if start is not None:
        yield from _array(text, start)
        return
    try:
        document, end = JSONDecoder().raw_decode(text, position)
    except (JSONDecodeError, RecursionError) as error:
        yield _line(text, getattr(error, "pos", 0)), "this is no JSON"
        return
    if not text[end:].strip():
        if _named(document) or not all(isinstance(value, str) for value in document.values()):
            yield _line(text, position), _named(document)
        else:
            yield from _pairs(text, document)
        return
    for number, line in enumerate(text.splitlines(), 1):  # one object a line
        if line.strip():
            yield from ((number, entry) for _, entry in _array(f"{line}]", 0))


def _pairs(text: str, document: Mapping[str, str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for meter_id, key in document.items():
        yield _line(text, max(0, text.find(f'"{meter_id}"'))), {"meter_id": meter_id, "key": key}


def _array(text: str, position: int) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    decoder, skip = JSONDecoder(parse_int=str, parse_float=str), re.compile(r"[\s,]*")
    while True:
        between = skip.match(text, position)
        position = between.end() if between else position
        if position >= len(text):
            yield _line(text, position), "the list is not closed"
            return
        if text[position] == "]":
            return
        line = _line(text, position)
        try:
            item, position = decoder.raw_decode(text, position)
        except (JSONDecodeError, RecursionError):
            yield line, "this is no JSON"
            return
        yield line, _named(item) if isinstance(item, dict) else "this is no object {meter_id, manufacturer, key}"


def _named(item: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in item.items():
        column = _COLUMNS.get(re.sub(r"[\W_]", "", str(name).lower()))
        if column is not None:
            found[column] = value
    return found


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
