"""Times as text."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.runtime.clock import SystemClock, iso, parse_iso


def test_iso_is_utc_with_milliseconds_and_z() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=2)))
    assert iso(moment) == "2026-01-02T01:04:05.678Z"


@pytest.mark.parametrize(
    "text", ["2026-01-02T03:04:05Z", "2026-01-02T04:04:05+01:00", "2026-01-02T03:04:05", "2026-01-02 03:04:05.000Z"]
)
def test_parse_iso_reads_any_zone_and_takes_none_as_utc(text: str) -> None:
    assert parse_iso(text) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert parse_iso(text).tzinfo is timezone.utc


def test_parse_iso_refuses_what_is_no_time() -> None:
    with pytest.raises(ValueError):
        parse_iso("yesterday")


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(timezone.utc)),
    st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(timezone.utc)),
)
def test_texts_of_times_sort_like_the_times(one: datetime, other: datetime) -> None:
    """The database compares them as text."""
    if abs(one - other) >= timedelta(milliseconds=1):
        assert (iso(one) < iso(other)) == (one < other)
    assert abs(parse_iso(iso(one)) - one) < timedelta(milliseconds=1)


def test_the_system_clock_is_aware() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.mono() <= clock.mono()
