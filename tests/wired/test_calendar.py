"""Times of the day: when they come, when they are given up, what a clock that is set does to them."""
from __future__ import annotations

from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from mbusgw.wired.calendar import GIVE_UP_AFTER, Calendar

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = (time(0, 0),)


def at(text: str) -> datetime:
    """A moment by the clock on the wall in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(timezone.utc)


def begun(times: tuple[time, ...], start: str) -> Calendar:
    calendar = Calendar(times, BERLIN)
    assert not calendar.begins(at(start)), "what was before the start does not count"
    return calendar


def test_without_times_nothing_ever_comes() -> None:
    calendar = Calendar((), BERLIN)
    assert calendar.next_after(at("2026-03-01 12:00")) is None
    assert not calendar.begins(at("2026-03-01 12:00")) and calendar.pending is None


def test_a_time_comes_once_a_day_and_waits_for_its_reading() -> None:
    calendar = begun((time(0, 0), time(12, 0)), "2026-01-30 23:59")
    assert calendar.next_after(at("2026-01-30 23:59")) == at("2026-01-31 00:00")
    assert calendar.begins(at("2026-01-31 00:00:03"))
    assert not calendar.begins(at("2026-01-31 00:00:20"))
    assert calendar.pending == at("2026-01-31 00:00")
    calendar.read(at("2026-01-30 23:59:59"))
    assert calendar.pending is not None, "a reading from before is none of that time"
    calendar.read(at("2026-01-31 00:00:21"))
    assert calendar.pending is None
    assert calendar.next_after(at("2026-01-31 00:00:21")) == at("2026-01-31 12:00")
    assert calendar.begins(at("2026-01-31 12:00"))


def test_a_time_is_given_up_after_a_while() -> None:
    calendar = begun(MIDNIGHT, "2026-01-30 23:59")
    calendar.begins(at("2026-01-31 00:00"))
    assert calendar.given_up(at("2026-01-31 00:00") + GIVE_UP_AFTER) is None
    assert calendar.given_up(at("2026-01-31 00:01") + GIVE_UP_AFTER) == at("2026-01-31 00:00")
    assert calendar.pending is None and calendar.given_up(at("2026-01-31 03:00")) is None
    assert not calendar.begins(at("2026-01-31 03:00"))


@pytest.mark.parametrize(
    ("day", "one", "moment"),
    [
        ("2026-03-29", time(2, 30), "03:30+0200"),  # there is no 02:30
        ("2026-10-25", time(2, 30), "02:30+0200"),  # there are two
        ("2026-03-29", time(0, 0), "00:00+0100"),
        ("2026-10-25", time(3, 0), "03:00+0100"),
    ],
)
def test_every_time_comes_once_on_the_days_when_the_clocks_change(day: str, one: time, moment: str) -> None:
    now = at(f"{day} 00:00") - timedelta(seconds=1)
    calendar = Calendar((one,), BERLIN)
    calendar.begins(now)
    came = []
    for _ in range(26 * 4):
        now += timedelta(minutes=15)
        if calendar.begins(now):
            assert calendar.pending is not None
            came.append(calendar.pending.astimezone(BERLIN))
    assert [f"{one:%H:%M%z}" for one in came if one.date().isoformat() == day] == [moment]


def test_a_clock_that_is_put_right_at_boot_does_not_make_up_for_what_is_long_past() -> None:
    calendar = begun(MIDNIGHT, "2026-01-30 22:00")
    assert calendar.begins(at("2026-01-31 09:00"))
    assert calendar.given_up(at("2026-01-31 09:00")) == at("2026-01-31 00:00")


def test_a_clock_that_goes_forward_over_a_time_makes_it_a_little_late() -> None:
    calendar = begun(MIDNIGHT, "2026-01-30 23:45")
    assert calendar.begins(at("2026-01-31 00:15"))
    assert calendar.given_up(at("2026-01-31 00:15")) is None and calendar.pending == at("2026-01-31 00:00")


def test_a_clock_that_goes_back_a_little_does_not_repeat_a_time() -> None:
    calendar = begun(MIDNIGHT, "2026-01-30 23:59")
    assert calendar.begins(at("2026-01-31 00:00:05"))
    calendar.read(at("2026-01-31 00:00:06"))
    assert not calendar.begins(at("2026-01-30 23:59:50"))
    assert not calendar.begins(at("2026-01-31 00:00:01"))
    assert calendar.begins(at("2026-02-01 00:00:01"))


@pytest.mark.parametrize("wrong", ["2026-01-31 09:00", "2027-06-01 09:00"])
def test_a_clock_that_was_far_ahead_does_not_swallow_the_right_time(wrong: str) -> None:
    calendar = begun(MIDNIGHT, wrong)
    assert not calendar.begins(at("2026-01-30 22:00"))
    assert calendar.pending is None
    assert calendar.begins(at("2026-01-31 00:00:00"))


def test_the_machines_own_zone_is_taken_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    import time as clock

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    clock.tzset()
    try:
        calendar = Calendar((time(6, 0),))
        now = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
        assert calendar.next_after(now) == datetime(2026, 3, 1, 21, 0, tzinfo=timezone.utc)
    finally:
        monkeypatch.undo()
        clock.tzset()
