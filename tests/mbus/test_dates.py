"""Types F, G, I and J."""
from __future__ import annotations

from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.mbus.dates import decode_time_point


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("bf1c", date(2013, 12, 31)),
        ("015a", date(2040, 10, 1)),
        ("3fcc", date(1997, 12, 31)),
        ("1e1a0c", time(12, 26, 30)),
        ("3b17bf1c", datetime(2013, 12, 31, 23, 59)),
        ("3b37bf1c", datetime(2013, 12, 31, 23, 59)),
        ("3b57bf1c", datetime(2113, 12, 31, 23, 59)),
        ("3b978f1c", datetime(2012, 12, 15, 23, 59)),
        ("000008162700", datetime(2016, 7, 22, 8, 0)),
        ("687214123940", datetime(2024, 9, 18, 20, 50, 40)),
    ],
)
def test_a_time_point_is_read_by_the_length_of_its_data(raw: str, value: object) -> None:
    assert decode_time_point(bytes.fromhex(raw)) == (value, None)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("0000", "no date is set"),
        ("ffff", "no date is set"),
        ("001c", "no calendar date"),
        ("b000", "no calendar date"),
        ("5e12", "no calendar date"),
        ("3f1a0c", "no time of day"),
        ("80000000", "invalid"),
        ("00000000", "no time is set"),
        ("3b1fbf1c", "no time of day"),
        ("3b17ffcc", "no year"),
        ("008008162700", "invalid"),
        ("000000000000", "no time is set"),
        ("00", "has 1 byte"),
        ("0011223344556677", "has 8 bytes"),
    ],
)
def test_what_is_no_point_in_time_is_none_and_says_why(raw: str, reason: str) -> None:
    value, problem = decode_time_point(bytes.fromhex(raw))
    assert value is None
    assert problem is not None and reason in problem


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("e1f1", date(2127, 1, 1)),
        ("3b17fffc", datetime(2127, 12, 31, 23, 59)),
        ("000000e1f100", datetime(2127, 1, 1)),
    ],
)
def test_a_date_of_every_year_is_told_with_that_mark(raw: str, value: object) -> None:
    assert decode_time_point(bytes.fromhex(raw)) == (value, "every year")


@given(st.binary(max_size=9))
def test_every_date_is_a_value_or_a_reason(data: bytes) -> None:
    value, problem = decode_time_point(data)
    assert (value is None) == (problem not in (None, "every year"))


@given(st.dates(date(2000, 1, 1), date(2080, 12, 31)))
def test_every_date_of_the_century_is_read_back(day: date) -> None:
    year = day.year - 2000
    raw = bytes((day.day | (year & 7) << 5, day.month | (year >> 3) << 4))
    assert decode_time_point(raw) == (day, None)
