"""Real numbers and the lengths of variable fields."""
from __future__ import annotations

import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.mbus.values import lvar_length, shortest_decimal


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_real_becomes_the_shortest_decimal_that_is_read_as_it_again(number: float) -> None:
    decimal = shortest_decimal(number)
    assert struct.pack("<f", float(decimal) or 0.0) == struct.pack("<f", number or 0.0)
    assert len(decimal.as_tuple().digits) <= 9


@pytest.mark.parametrize("text", ["21.1", "0.1", "-0.3", "1E+10", "16777216", "41.211052", "3.4028235E+38", "1E-45"])
def test_a_real_keeps_the_digits_a_person_wrote(text: str) -> None:
    (number,) = struct.unpack("<f", struct.pack("<f", float(text)))
    assert shortest_decimal(number) == Decimal(text)


def test_negative_zero_is_zero() -> None:
    assert str(shortest_decimal(-0.0)) == "0"


@pytest.mark.parametrize(
    ("lvar", "length"),
    [
        (0x00, 0),
        (0xBF, 191),
        (0xC0, 0),
        (0xC9, 9),
        (0xD4, 4),
        (0xE0, 0),
        (0xEF, 15),
        (0xF0, 16),
        (0xF4, 32),
        (0xF5, 48),
        (0xF6, 64),
        (0xF7, None),
        (0xFF, None),
    ],
)
def test_the_first_byte_of_a_variable_field_tells_its_length(lvar: int, length: int | None) -> None:
    assert lvar_length(lvar) == length
