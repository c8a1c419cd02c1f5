"""JSON with exact decimals. The home of simplejson.

The standard library turns a Decimal into a float or refuses it; a counter of 16 digits
would come out changed.
"""
from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

import simplejson

from mbusgw.runtime.clock import iso


def dumps(document: Any, *, indent: int | None = None) -> str:
    """JSON text. Decimals stay exact (``1E+3`` is a JSON number too); aware times end in Z, a meter's local ones
    have no zone; bytes become hex. Raises ``ValueError`` for NaN and infinity, which are not JSON."""
    return simplejson.dumps(
        document,
        indent=indent,
        use_decimal=True,
        allow_nan=False,
        ensure_ascii=False,
        encoding=None,  # or simplejson takes bytes for UTF-8 text
        default=_plain,
        separators=None if indent else (",", ":"),
    )


def loads(text: str | bytes) -> Any:
    """The document of a JSON text, fractions as Decimal. Raises ``ValueError``, also for NaN and infinity."""
    return simplejson.loads(text, use_decimal=True, parse_constant=_no_number)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def _plain(value: object) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return iso(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")
