"""The gateways: rates, silence, and a bound on how many are remembered."""
from __future__ import annotations

import pytest

from mbusgw.ingest.fleet import GATEWAYS_MAX, GONE_MIN_S, MINUTES, Fleet
from tests.fakes.clock import FakeClock


def test_a_gateway_is_counted_from_its_first_contact() -> None:
    clock = FakeClock()
    fleet = Fleet(clock)
    fleet.contact("gw1", telegrams=3, duplicates=1)
    clock.advance(30)
    fleet.contact("gw2", telegrams=1, duplicates=0)
    first, second = fleet.snapshot()
    assert (first.gateway_id, first.telegrams, first.duplicates, first.silent_s) == ("gw1", 3, 1, 30)
    assert second.last_contact_at == clock.now() and not first.gone


def test_the_rate_is_that_of_the_last_quarter_of_an_hour() -> None:
    clock = FakeClock(mono=0.0)
    fleet = Fleet(clock)
    for _ in range(60 * MINUTES):
        fleet.contact("gw1", telegrams=2, duplicates=0)
        clock.advance(1)
    assert fleet.snapshot()[0].telegrams_per_min == pytest.approx(120, rel=0.07)
    clock.advance(60 * MINUTES)
    assert fleet.snapshot()[0].telegrams_per_min == 0


def test_a_gateway_is_gone_when_it_is_silent_for_much_longer_than_usual() -> None:
    clock = FakeClock()
    fleet = Fleet(clock)
    for _ in range(20):
        fleet.contact("busy", telegrams=1, duplicates=0)
        clock.advance(2)
    clock.advance(GONE_MIN_S - 10)
    assert not fleet.snapshot()[0].gone
    clock.advance(20)
    assert fleet.snapshot()[0].gone
    fleet.contact("busy", telegrams=1, duplicates=0)
    assert not fleet.snapshot()[0].gone


def test_a_gateway_that_posts_once_an_hour_is_not_gone_after_two() -> None:
    clock = FakeClock()
    fleet = Fleet(clock)
    for _ in range(5):
        fleet.contact("slow", telegrams=40, duplicates=0)
        clock.advance(3600)
    clock.advance(3600)
    assert not fleet.snapshot()[0].gone


def test_of_too_many_names_the_one_silent_longest_is_forgotten() -> None:
    clock = FakeClock()
    fleet = Fleet(clock)
    for number in range(GATEWAYS_MAX + 1):
        clock.advance(1)
        fleet.contact(f"gw{number:05}", telegrams=1, duplicates=0)
    names = [one.gateway_id for one in fleet.snapshot()]
    assert len(names) == GATEWAYS_MAX and "gw00000" not in names
