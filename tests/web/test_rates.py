"""Token buckets of the gateways."""
from __future__ import annotations

from mbusgw.web.rates import BURST_S, GATEWAYS_MAX, GatewayRates
from tests.fakes.clock import FakeClock


def test_a_gateway_may_hand_in_what_it_kept_and_then_its_rate() -> None:
    clock = FakeClock()
    rates = GatewayRates(2, clock)
    for _ in range(int(2 * BURST_S)):
        assert rates.take({"gw1": 1}) == {}
    assert rates.take({"gw1": 1}) == {"gw1": 0.5}
    clock.advance(0.5)
    assert rates.take({"gw1": 1}) == {}
    assert rates.take({"gw1": 1}) != {}


def test_a_batch_beyond_the_burst_is_taken_and_paid_for_later() -> None:
    clock = FakeClock()
    rates = GatewayRates(1, clock)
    assert rates.take({"gw1": 100}) == {}
    assert rates.take({"gw1": 1}) == {"gw1": 100 - BURST_S + 1}
    clock.advance(100 - BURST_S + 1)
    assert rates.take({"gw1": 1}) == {}


def test_one_gateway_does_not_use_up_what_another_has() -> None:
    clock = FakeClock()
    rates = GatewayRates(1, clock)
    rates.take({"gw1": 100})
    assert rates.take({"gw2": 1}) == {}
    assert list(rates.take({"gw1": 1, "gw2": 1})) == ["gw1"]
    left = [rates.take({"gw2": 1}) for _ in range(int(BURST_S))]
    assert left[:-1] == [{}] * (len(left) - 1) and left[-1] != {}, "the refused request took nothing of gw2"


def test_a_slow_rate_lets_single_telegrams_through() -> None:
    clock = FakeClock()
    rates = GatewayRates(0.001, clock)
    assert rates.take({"gw1": 1}) == {}
    assert rates.take({"gw1": 1}) == {"gw1": 1000}


def test_made_up_names_do_not_fill_the_memory() -> None:
    rates = GatewayRates(1, FakeClock())
    for number in range(GATEWAYS_MAX + 10):
        rates.take({f"gw{number}": 1})
    assert len(rates._buckets) == GATEWAYS_MAX
