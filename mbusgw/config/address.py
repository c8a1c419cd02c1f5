"""The address of a wired meter as people write it."""
from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import PlainValidator

from mbusgw.config.kinds import check_manufacturer, check_meter_id
from mbusgw.model.address import ANY_BYTE, Address, SecondaryAddress
from mbusgw.model.meter import manufacturer_code

LAST_PRIMARY = 250
ONLY_METER = 254
_PARTS = ("id", "manufacturer", "version", "medium")
_WHOLE = "a secondary address has 16 hex digits (8 of the number, 4 manufacturer, 2 version, 2 medium)"
_FORMS = (
    f"a primary address is 0 to {LAST_PRIMARY}, or {ONLY_METER} for the only meter on a bus; "
    "a secondary one has 16 hex digits"
)


def parse_address(value: Any) -> Address:
    """``7``, ``0x0A``, ``"1234567824401007"``, or a mapping of ``id``, ``manufacturer``, ``version``, ``medium``.

    Of the mapping, a part that is not there may be any. Raises ``ValueError``. **any thread**
    """
    if isinstance(value, SecondaryAddress):
        return value
    if isinstance(value, Mapping):
        return _by_parts(value)
    text = str(value).strip()
    if re.fullmatch(r"[0-9A-Fa-f]{6,}", text):
        return _by_digits(text)
    number = _number(text)
    if number is None or not 0 <= number <= LAST_PRIMARY and number != ONLY_METER:
        raise ValueError(_FORMS)
    return number


def parse_secondary(value: Any) -> SecondaryAddress:
    """The same without the numbers: who a meter is, not where. Raises ``ValueError``. **any thread**"""
    if isinstance(value, SecondaryAddress):
        return value
    if isinstance(value, Mapping):
        return _by_parts(value)
    text = str(value).strip()
    if not re.fullmatch(r"[0-9A-Fa-f]*", text):
        raise ValueError(f"{_WHOLE}; this one holds another character")
    return _by_digits(text)


def _by_digits(text: str) -> SecondaryAddress:
    if len(text) != 16:
        raise ValueError(f"{_WHOLE}; this one has {len(text)}")
    return SecondaryAddress.parse(text)


def _by_parts(parts: Mapping[Any, Any]) -> SecondaryAddress:
    for key in parts:
        if key not in _PARTS:
            raise ValueError(f"a secondary address has no part `{key}`; it has {', '.join(_PARTS)}")
    given = {key: value for key, value in parts.items() if value is not None}
    if not given:
        raise ValueError("a secondary address needs at least one part, such as id")
    address = SecondaryAddress()
    return SecondaryAddress(
        id=check_meter_id(given["id"]) if "id" in given else address.id,
        manufacturer=manufacturer_code(check_manufacturer(given["manufacturer"]))
        if "manufacturer" in given
        else address.manufacturer,
        version=_byte("version", given),
        medium=_byte("medium", given),
    )


def _byte(part: str, given: Mapping[Any, Any]) -> int:
    if part not in given:
        return ANY_BYTE
    number = _number(str(given[part]).strip())
    if number is None or not 0 <= number <= 0xFF:
        raise ValueError(f"the {part} is a number from 0 to 255 (0x00 to 0xFF)")
    return number


def _number(text: str) -> int | None:
    if re.fullmatch(r"0[xX][0-9A-Fa-f]{1,4}", text):
        return int(text, 16)
    return int(text) if re.fullmatch(r"[0-9]{1,5}", text) else None


#: Where a meter is on its bus.
MeterAddress = Annotated[Address, PlainValidator(parse_address)]

#: Which meter it must be.
MeterName = Annotated[SecondaryAddress, PlainValidator(parse_secondary)]
