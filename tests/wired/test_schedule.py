"""When a meter is due."""
from __future__ import annotations

import pytest

from mbusgw.wired.schedule import FIRST_WITHIN_S, Schedule


def test_the_first_reads_are_soon_and_spread() -> None:
    dues = []
    for n in range(50):
        schedule = Schedule(f"meter_{n}", 3600)
        schedule.begin(1000)
        dues.append(schedule.due_mono)
    assert all(1000 <= due <= 1000 + FIRST_WITHIN_S for due in dues)
    assert max(dues) - min(dues) > FIRST_WITHIN_S / 2


def test_a_short_interval_is_never_waited_longer_than_itself() -> None:
    schedule = Schedule("meter_1", 2)
    schedule.begin(1000)
    assert schedule.due_mono <= 1002


def test_later_reads_are_an_interval_apart_and_do_not_drift() -> None:
    schedule = Schedule("meter_1", 15)
    schedule.begin(1000)
    schedule.advance(schedule.due_mono + 0.4)
    dues = []
    for _ in range(100):
        dues.append(schedule.due_mono)
        schedule.advance(schedule.due_mono + 0.4)
    gaps = [later - earlier for earlier, later in zip(dues, dues[1:])]
    assert gaps == pytest.approx([15] * 99)


def test_meters_of_one_interval_are_spread_over_it() -> None:
    offsets = []
    for n in range(60):
        schedule = Schedule(f"meter_{n}", 60)
        schedule.begin(0)
        schedule.advance(100)
        offsets.append(schedule.due_mono % 60)
    quarters = [sum(15 * q <= offset < 15 * (q + 1) for offset in offsets) for q in range(4)]
    assert min(quarters) >= 5


def test_what_was_missed_is_skipped() -> None:
    schedule = Schedule("meter_1", 10)
    schedule.begin(0)
    schedule.advance(1000)
    assert 1005 <= schedule.due_mono <= 1015


def test_a_failed_read_is_tried_again_when_asked_and_the_grid_stays() -> None:
    schedule = Schedule("meter_1", 60)
    schedule.begin(0)
    schedule.advance(300)
    regular = schedule.due_mono
    schedule.postpone(300, 5)
    assert schedule.due_mono == 305
    schedule.advance(305)
    assert (schedule.due_mono - regular) % 60 == pytest.approx(0)
