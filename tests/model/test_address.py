"""Secondary addresses: how they are written, sent, and compared with meters."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.model.address import SecondaryAddress
from mbusgw.model.meter import MeterIdentity, manufacturer_text

EXAMPLE = "1234567824401007"
METER = MeterIdentity("12345678", "PAD", 0x10, 0x07)
FIELDS = st.builds(
    SecondaryAddress,
    id=st.text("0123456789ABCDEF", min_size=8, max_size=8),
    manufacturer=st.integers(0, 0xFFFF),
    version=st.integers(0, 0xFF),
    medium=st.integers(0, 0xFF),
)


def test_sixteen_digits_are_read_as_tools_print_them() -> None:
    address = SecondaryAddress.parse(EXAMPLE)
    assert (address.id, address.manufacturer, address.version, address.medium) == ("12345678", 0x4024, 0x10, 0x07)
    assert address.wire == bytes.fromhex("78563412 2440 10 07")
    assert address.matches(METER) and address.is_exact


@given(FIELDS)
def test_every_address_survives_text_and_wire(address: SecondaryAddress) -> None:
    assert SecondaryAddress.parse(str(address).lower()) == address
    assert SecondaryAddress.from_wire(address.wire) == address


@pytest.mark.parametrize("text", ["", "12345678", EXAMPLE + "0", EXAMPLE[:-1] + "G", "١" * 16, "0x" + EXAMPLE[2:]])
def test_a_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="16 hex digits"):
        SecondaryAddress.parse(text)


@given(st.binary(max_size=20).filter(lambda data: len(data) != 8))
def test_a_selection_has_eight_bytes(data: bytes) -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        SecondaryAddress.from_wire(data)


@pytest.mark.parametrize(
    ("mask", "fits"),
    [
        ("FFFFFFFFFFFFFFFF", True),
        ("1FFFFFF82440FFFF", True),
        ("12345678FFFF10FF", True),
        ("2FFFFFFFFFFFFFFF", False),
        ("123456782D2C1007", False),
        ("1234567824401107", False),
        ("1234567824401006", False),
    ],
)
def test_open_places_fit_any_meter_and_the_others_only_theirs(mask: str, fits: bool) -> None:
    address = SecondaryAddress.parse(mask)
    assert address.matches(METER) is fits
    assert address.covers(SecondaryAddress.parse(EXAMPLE)) is fits
    assert not address.is_exact or not fits


def test_a_meter_of_the_fixed_structure_is_known_by_its_number() -> None:
    fixed = MeterIdentity("12345678", None, None, 0x04)
    assert SecondaryAddress.parse(EXAMPLE).matches(fixed)
    assert not SecondaryAddress.parse(EXAMPLE.replace("8", "9")).matches(fixed)
    assert str(SecondaryAddress.of(fixed)) == "12345678FFFFFF04"


@pytest.mark.parametrize("manufacturer", ["PAD", "0x0000", "0x7C00", None])
def test_the_address_of_a_meter_calls_that_meter(manufacturer: str | None) -> None:
    meter = MeterIdentity("00A0000B", manufacturer, 0, 0)
    assert SecondaryAddress.of(meter).matches(meter)


@given(FIELDS, st.integers(0, 0xFF), st.booleans(), st.booleans(), st.booleans())
def test_an_address_with_some_places_opened_covers_it_and_fits_its_meter(
    narrow: SecondaryAddress, digits: int, manufacturer: bool, version: bool, medium: bool
) -> None:
    wide = SecondaryAddress(
        "".join("F" if digits >> n & 1 else digit for n, digit in enumerate(narrow.id)),
        0xFFFF if manufacturer else narrow.manufacturer,
        0xFF if version else narrow.version,
        0xFF if medium else narrow.medium,
    )
    meter = MeterIdentity(narrow.id, manufacturer_text(narrow.manufacturer), narrow.version, narrow.medium)
    assert wide.covers(narrow) and wide.matches(meter) and narrow.matches(meter)
    assert wide == narrow or not narrow.covers(wide)
