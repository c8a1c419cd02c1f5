"""Faults at random for hours of bus time: no untrue value, no reading lost by a healthy meter, no rule broken."""
from __future__ import annotations

import pytest

from tests.chaos.virtual import VirtualBus


@pytest.mark.parametrize(("seed", "rate"), [(1, 0.05), (2, 0.1), (3, 0.3)])
@pytest.mark.slow
def test_a_quarter_of_an_hour_of_faults_makes_nothing_wrong(seed: int, rate: float) -> None:
    bus = VirtualBus(seed, rate=rate)
    outcome = bus.run(0.25)
    assert outcome.untrue == []
    assert outcome.lost == []
    assert bus.referee.violations == []
    assert outcome.longest_s < 60, "bus time: no read holds the bus"
    assert outcome.reads["ok"] > 300 and outcome.errors.total() > 0


def test_without_faults_nothing_fails_at_all() -> None:
    outcome = VirtualBus(4, rate=0, natures=False).run(0.1)
    assert outcome.errors.total() == 0 and outcome.incomplete == 0
    assert outcome.reads["ok"] > 300


@pytest.mark.parametrize(("rate", "drop_s"), [(0, 7), (0.1, 60)])
def test_a_converter_that_drops_the_connection_again_and_again_costs_no_reading(rate: float, drop_s: float) -> None:
    bus = VirtualBus(5, rate=rate, drop_s=drop_s)
    outcome = bus.run(0.15)
    assert outcome.drops >= 8
    assert outcome.untrue == [] and outcome.lost == [] and bus.referee.violations == []
    assert outcome.reads["failed"] == 0 and outcome.reads["ok"] > 200
