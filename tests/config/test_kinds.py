"""Durations and the small kinds of value."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.config.kinds import parse_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (15, 15.0),
        (0.5, 0.5),
        ("15", 15.0),
        ("15.5", 15.5),
        ("1e2", 100.0),
        ("500ms", 0.5),
        ("30s", 30.0),
        ("15m", 900.0),
        ("15 min", 900.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("1D", 86400.0),
        ("-5", -5.0),
    ],
)
def test_a_duration_is_seconds_or_carries_units(written: object, seconds: float) -> None:
    assert parse_duration(written) == pytest.approx(seconds)


NO_DURATIONS = ["", "m", "15x", "fifteen", "1h-3m", "15 m 3", "nan", "inf", "1:30", "٣", True, None, []]


@pytest.mark.parametrize("written", NO_DURATIONS)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValueError):
        parse_duration(written)


@given(st.text(max_size=20))
def test_any_text_is_a_number_of_seconds_or_a_value_error(text: str) -> None:
    try:
        assert isinstance(parse_duration(text), float)
    except ValueError:
        pass
