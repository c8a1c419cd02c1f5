"""Units and how values are written."""
from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.record import Value
from mbusgw.model.units import normalise, plain_text

numbers = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=6)


@pytest.mark.parametrize(
    ("value", "unit", "quantity", "text", "published"),
    [
        ("5E+3", "Wh", "energy", "5", "kWh"),
        ("5000", "Wh", "energy", "5.000", "kWh"),
        ("2.1837E+5", "Wh", "energy", "218.37", "kWh"),
        ("1.2E+6", "Wh", "energy", "1200", "kWh"),
        ("12", "MWh", "energy", "12000", "kWh"),
        ("1E+7", "J", "energy", "0.01", "GJ"),
        ("123456", "J", "energy", "0.000123456", "GJ"),
        ("1234", "MJ", "energy", "1.234", "GJ"),
        ("1E+6", "cal", "energy", "1", "Mcal"),
        ("1500", "varh", "reactive_energy", "1.500", "kvarh"),
        ("34700", "W", "power", "34700", "W"),
        ("1.5", "kW", "power", "1500", "W"),
        ("3600", "J/h", "power", "1", "W"),
        ("1000", "J/h", "power", "0.2778", "W"),
        ("7.2", "MJ/h", "power", "2000", "W"),
        ("123.456", "m³", "volume", "123.456", "m³"),
        ("135", "l", "volume", "0.135", "m³"),
        ("100", "gal", "volume", "0.378541178400", "m³"),
        ("10", "ft³", "volume", "0.283168465920", "m³"),
        ("0.0010", "m³/min", "volume_flow", "0.0600", "m³/h"),
        ("0.001", "m³/s", "volume_flow", "3.600", "m³/h"),
        ("68", "°F", "flow_temperature", "20", "°C"),
        ("70.5", "°F", "flow_temperature", "21.3889", "°C"),
        ("18", "°F", "temperature_difference", "10", "K"),
        ("21.50", "°C", "flow_temperature", "21.50", "°C"),
        ("864000", "s", "operating_time", "240", "h"),
        ("5400", "s", "on_time", "1.5", "h"),
        ("100", "s", "on_time", "0.0278", "h"),
        ("420", "s", "averaging_duration", "420", "s"),
        ("1000", "d", "remaining_battery", "1000", "d"),
        ("2", "t", "mass", "2000", "kg"),
        ("12", "", "hca", "12", ""),
        ("7", "furlong", "dimensionless", "7", "furlong"),
    ],
)
def test_a_value_is_published_in_the_unit_a_person_expects(
    value: str, unit: str, quantity: str, text: str, published: str
) -> None:
    number, target = normalise(Decimal(value), unit, QUANTITIES[quantity])
    assert (plain_text(number), target) == (text, published)


@given(numbers)
def test_powers_of_ten_lose_no_digit(value: Decimal) -> None:
    number, _ = normalise(value, "Wh", QUANTITIES["energy"])
    assert isinstance(number, Decimal) and Decimal(plain_text(number) + "E+3") == value


@given(st.integers(-(2**80), 2**80))
def test_integers_beyond_the_floats_are_converted_exactly(value: int) -> None:
    number, _ = normalise(value, "Wh", QUANTITIES["energy"])
    assert isinstance(number, Decimal) and int(number * 1000) == value


@pytest.mark.parametrize("value", ["text", date(2013, 12, 31), None])
def test_what_is_no_number_keeps_itself(value: Value | None) -> None:
    assert normalise(value, "Wh", QUANTITIES["energy"]) == (value, "kWh")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("123.450"), "123.450"),
        (Decimal("1E+20"), "100000000000000000000"),
        (Decimal("1E-9"), "0.000000001"),
        (Decimal("0E+3"), "0"),
        (2**70, "1180591620717411303424"),
        (date(2013, 12, 31), "2013-12-31"),
        (datetime(2013, 12, 31, 23, 59), "2013-12-31T23:59:00"),
        (time(12, 26, 30), "12:26:30"),
        ("ABC", "ABC"),
        (None, ""),
    ],
)
def test_a_value_is_written_plainly(value: Value | None, text: str) -> None:
    assert plain_text(value) == text


@given(numbers)
def test_a_number_is_never_written_with_an_exponent(value: Decimal) -> None:
    assert Decimal(plain_text(value)) == value and "E" not in plain_text(value).upper()
