"""What is learned of a radio meter's way to us."""
from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.model.reception import GAPS_KEPT, GATEWAYS_KEPT, RadioLink, Reception
from tests.fakes.clock import START


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def heard(*seconds: float, gateway_id: str = "gw1", rssi_dbm: float | None = -70) -> RadioLink:
    """A meter that was heard at these times."""
    link = RadioLink()
    for second in seconds:
        link = link.hear([Reception(gateway_id, rssi_dbm, after(second))])
    return link


def regular(count: int, interval_s: float, lost: float, seed: int = 1) -> RadioLink:
    """A meter that sends at ``interval_s``, of which a share is lost."""
    drawn = random.Random(seed)
    times = [number * interval_s + drawn.uniform(0, 0.02) * interval_s for number in range(count)]
    return heard(*(second for second in times if drawn.random() >= lost))


def test_the_interval_is_known_after_some_telegrams() -> None:
    assert heard(0, 60, 120).interval_s is None
    assert heard(0, 60, 121, 180).interval_s == pytest.approx(60, abs=2)


@pytest.mark.parametrize("lost", [0.0, 0.2, 0.5])
def test_lost_telegrams_do_not_make_the_interval_longer_but_the_share_heard_smaller(lost: float) -> None:
    link = regular(300, 16, lost)
    assert link.interval_s == pytest.approx(16, rel=0.05)
    assert link.completeness == pytest.approx(1 - lost, abs=0.15)


def test_a_short_and_a_long_telegram_of_one_transmission_count_once() -> None:
    link = heard(*(second for number in range(10) for second in (number * 900, number * 900 + 2)))
    assert link.interval_s == pytest.approx(898, abs=3)
    assert link.completeness == pytest.approx(1)


def test_a_telegram_that_is_handed_in_late_does_not_turn_time_back() -> None:
    link = heard(0, 60, 120, 180, 30)
    assert link.last_at == after(180) and link.interval_s == 60


def test_a_telegram_that_is_handed_in_late_does_not_hide_how_well_the_newest_was_heard() -> None:
    link = heard(0, 60).add(Reception("gw1", None, after(30)))
    assert link.receptions == (Reception("gw1", -70, after(60)),)


def test_a_pause_that_tells_nothing_is_not_learned_from() -> None:
    link = heard(0, 60, 120, 180).hear([Reception("gw1", -70, after(9999))], learn=False)
    assert link.interval_s == 60 and link.completeness == 1 and link.last_at == after(9999)


# ------------------------------------------------------------------ silence
def test_a_meter_that_is_heard_well_is_silent_after_three_intervals() -> None:
    silence_s = regular(200, 100, 0).silence_s(3)
    assert silence_s is not None and 300 < silence_s < 340
    more_s = regular(200, 100, 0).silence_s(10)
    assert more_s is not None and 1000 < more_s < 1100


@pytest.mark.parametrize("lost", [0.3, 0.5, 0.7])
def test_a_meter_that_is_heard_badly_is_not_called_silent_by_bad_luck(lost: float) -> None:
    link, alarms = RadioLink(), 0
    drawn = random.Random(7)
    for number in range(20_000):
        if drawn.random() < lost:
            continue
        now = after(number * 16.0)
        silence_s = link.silence_s(3)
        if silence_s is not None and number > 400 and (now - (link.last_at or now)).total_seconds() > silence_s:
            alarms += 1
        link = link.hear([Reception("gw1", -90, now)])
    assert alarms == 0


def test_before_the_interval_is_known_nothing_is_said_about_silence() -> None:
    assert heard(0, 60).silence_s(3) is None and RadioLink().silence_s(3) is None


@given(st.lists(st.floats(min_value=-1e6, max_value=1e7), max_size=60))
def test_whatever_the_times_the_numbers_stay_sound(seconds: list[float]) -> None:
    link = heard(*seconds)
    assert len(link.gaps_s) <= GAPS_KEPT
    if link.completeness is not None:
        assert 0 < link.completeness <= 1
    silence_s = link.silence_s(3)
    assert silence_s is None or silence_s > 0


# ------------------------------------------------------------------ gateways
def test_the_best_gateway_is_the_one_that_hears_it_strongest() -> None:
    heard_by = [Reception("far", -95, START), Reception("near", -60, START), Reception("mute", None, START)]
    link = RadioLink().hear(heard_by)
    assert link.best is not None and link.best.gateway_id == "near"


def test_a_gateway_that_has_not_heard_it_for_long_is_not_the_best_any_more() -> None:
    link = RadioLink().hear([Reception("near", -60, START), Reception("far", -95, START)])
    for number in range(1, 40):
        link = link.hear([Reception("far", -95, after(number * 60))])
    assert link.best is not None and link.best.gateway_id == "far"
    assert {one.gateway_id for one in link.receptions} == {"near", "far"}


def test_of_many_gateways_those_heard_of_last_are_remembered() -> None:
    link = RadioLink()
    for number in range(GATEWAYS_KEPT + 3):
        link = link.add(Reception(f"gw{number}", -70, after(number)))
    assert [one.gateway_id for one in link.receptions] == [f"gw{number}" for number in range(GATEWAYS_KEPT + 2, 2, -1)]


def test_without_any_reception_there_is_no_best() -> None:
    assert RadioLink().best is None
