"""Whatever VIF and VIFEs a meter may send: a topic, a name in both languages, and a class that Home Assistant takes."""
from __future__ import annotations

import re
from decimal import Decimal

import pytest

from mbusgw.mbus.records import decode_records
from mbusgw.mbus.vif_tables import (
    EXTENSION_FB_TABLE,
    EXTENSION_FD_FD_TABLE,
    EXTENSION_FD_TABLE,
    MANUFACTURER_VIF,
    PLAIN_TEXT_VIF,
    PRIMARY,
    Vif,
)
from mbusgw.mbus.vife_tables import COMBINABLE, COMBINABLE_EXTENSION
from mbusgw.model.classes import SENSOR_CLASSES
from mbusgw.model.fields import name_fields
from mbusgw.model.reading import Field
from mbusgw.model.record import Record
from mbusgw.mqtt.quantities import LOOKS, entity_name, look
from mbusgw.mqtt.words import QUALIFIERS, TITLES_DE

TABLES = {b"": PRIMARY, b"\xFB": EXTENSION_FB_TABLE, b"\xFD": EXTENSION_FD_TABLE, b"\xFD\xFD": EXTENSION_FD_FD_TABLE}
#: 7B and 7D lead on to the next table; 7C has a text instead of VIFEs.
VIBS = [
    prefix + bytes((code,))
    for prefix, table in TABLES.items()
    for code in range(0x80)
    if not (prefix in (b"", b"\xFD") and code in (0x7B, 0x7D)) and (prefix or code != PLAIN_TEXT_VIF)
]
VIFES = [bytes((code,)) for code in range(0x80) if code != PLAIN_TEXT_VIF]
VIFES += [bytes((0xFC, code)) for code in range(0x80)] + [b"\xFF\x05"]
#: Limit exceeded, its first time, how long that lasted, and a profile: each makes another quantity of the value.
TURNING = [b"\x41", b"\x42", b"\x50", b"\x1F"]
MEDIA = (None, 0x02, 0x03, 0x04, 0x07, 0x08)

#: What no table of words can know: codes that are not assigned, and a manufacturer's own.
_CODE = re.compile(r"(vife_(fc)?|manufacturer_)?([0-9a-f]{2})+")


def decoded(vib: bytes) -> Record:
    """The one record of a four-byte number with this VIB."""
    (record,) = decode_records(b"\x04" + vib + b"\x01\x00\x00\x00").records
    return record


def with_vife(vib: bytes, vife: bytes) -> bytes:
    return vib[:-1] + bytes((vib[-1] | 0x80,)) + vife


def assigned(vib: bytes) -> Vif | None:
    return TABLES[vib[:-1]].get(vib[-1])


def of_each_quantity() -> list[bytes]:
    """One VIB for each quantity that the tables know, and one that none does."""
    found = {vif.quantity: vib for vib in VIBS if (vif := assigned(vib)) is not None}
    return [*found.values(), b"\x6F"]


def check(vib: bytes) -> None:
    record = decoded(vib)
    assert record.quantity.slug in LOOKS.keys() | TITLES_DE.keys()
    for word in record.qualifiers:
        known = word in QUALIFIERS or word.removeprefix("of_") in LOOKS.keys() | TITLES_DE.keys()
        assert known or _CODE.fullmatch(word), word
    for name, field in name_fields([record]).items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name
        for medium in MEDIA:
            check_look(field, medium)


def check_look(field: Field, medium: int | None) -> None:
    shown = look(field, medium)
    if shown.device_class:
        legal = SENSOR_CLASSES[shown.device_class]
        assert field.unit in legal.units and (shown.state_class is None or shown.state_class in legal.state_classes)
    if shown.state_class:
        assert field.value is None or isinstance(field.value, (int, Decimal))
    for language in ("en", "de"):
        name = entity_name(field, shown, language, medium)
        assert name.strip() == name != "" and "_" not in name


@pytest.mark.parametrize("prefix", TABLES, ids=lambda prefix: prefix.hex() or "primary")
def test_every_vif_has_topic_name_and_look(prefix: bytes) -> None:
    for vib in VIBS:
        if vib[:-1] == prefix:
            check(vib)


def test_a_vif_that_is_not_assigned_is_told_by_its_code() -> None:
    unassigned = [vib for vib in VIBS if assigned(vib) is None and vib[-1] != MANUFACTURER_VIF]
    names = {name for vib in unassigned for name in name_fields([decoded(vib)])}
    assert names == {f"unknown_{vib.hex()}" for vib in unassigned}


@pytest.mark.parametrize("vib", [b"\x06", b"\x3B", b"\x6D", b"\xFD\x17", b"\x6F"], ids=bytes.hex)
def test_with_every_vife_a_vif_has_topic_name_and_look(vib: bytes) -> None:
    for vife in VIFES:
        check(with_vife(vib, vife))


@pytest.mark.parametrize("vife", TURNING, ids=bytes.hex)
def test_what_a_vife_makes_another_quantity_of_the_value_still_says_which_it_is_about(vife: bytes) -> None:
    for vib in of_each_quantity():
        check(with_vife(vib, vife))


def test_every_vife_that_says_something_is_heard_in_the_name() -> None:
    saying = [bytes((code,)) for code, vife in COMBINABLE.items() if vife.qualifiers]
    saying += [bytes((0xFC, code)) for code in COMBINABLE_EXTENSION]
    for language in ("en", "de"):
        plain = name_of(b"\x06", language)
        for vife in saying:
            assert name_of(with_vife(b"\x06", vife), language) != plain, vife.hex()


def name_of(vib: bytes, language: str) -> str:
    (field,) = name_fields([decoded(vib)]).values()
    return entity_name(field, look(field, None), language, None)
