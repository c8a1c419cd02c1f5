"""A strict reader of InfluxDB line protocol, written from its description."""
from __future__ import annotations

import re
from typing import NamedTuple

_NUMBER = re.compile(r"-?\d+(\.\d+)?")


class Point(NamedTuple):
    """One line."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, str | float]
    time: int


def parse(text: str) -> list[Point]:
    """The points of a body; raises ``ValueError`` for anything that is not line protocol."""
    if text and not text.endswith("\n"):
        raise ValueError("the last line does not end")
    return [_point(line) for line in text.split("\n")[:-1]]


def _point(line: str) -> Point:
    head, rest = _cut(line, " ")
    fields, time = _cut(rest, " ", quotes=True)
    measurement, tags = _cut(head + ",", ",")
    names: dict[str, str] = {}
    while tags:
        pair, tags = _cut(tags, ",")
        name, value = _cut(pair, "=")
        if not name or not value or name in names:
            raise ValueError(f"a tag is empty or twice there: {line}")
        names[_plain(name)] = _plain(value)
    values: dict[str, str | float] = {}
    fields += ","
    while fields:
        pair, fields = _cut(fields, ",", quotes=True)
        name, value = _cut(pair, "=")
        if not name or _plain(name) in values or _plain(name) in names or name == "time":
            raise ValueError(f"a field is empty, twice there, or called like a tag: {line}")
        values[_plain(name)] = _value(value)
    return Point(_plain(measurement), names, values, int(time))


def _cut(text: str, sign: str, *, quotes: bool = False) -> tuple[str, str]:
    """Up to the first ``sign`` that is neither escaped nor, with ``quotes``, within quotes; and what follows."""
    quoted, at = False, 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == '"' and quotes:
            quoted = not quoted
        if text[at] == sign and not quoted:
            return text[:at], text[at + 1 :]
        at += 1
    raise ValueError(f"no {sign!r} in {text!r}")


def _plain(name: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", name)


def _value(text: str) -> str | float:
    if text.startswith('"') and text.endswith('"') and len(text) >= 2:
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"no number: {text!r}")
    return float(text)
