"""The circuit breaker."""
from __future__ import annotations

import pytest

from mbusgw.runtime.breaker import BreakerState, CircuitBreaker
from tests.fakes.clock import FakeClock


@pytest.fixture
def breaker(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker(clock, failures=3, first_pause_s=10, max_pause_s=100)


def open_it(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        assert breaker.allow()
        breaker.failure()
    assert breaker.state is BreakerState.OPEN


def half_open_it(breaker: CircuitBreaker, clock: FakeClock) -> None:
    clock.advance(breaker.retry_in_s())
    assert breaker.state is BreakerState.HALF_OPEN


def test_it_stays_closed_below_the_limit(breaker: CircuitBreaker) -> None:
    breaker.failure()
    breaker.failure()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.allow()
    assert breaker.retry_in_s() == 0


def test_only_failures_in_a_row_count(breaker: CircuitBreaker) -> None:
    for _ in range(5):
        breaker.failure()
        breaker.failure()
        breaker.success()
    assert breaker.state is BreakerState.CLOSED


def test_at_the_limit_it_opens_and_refuses_until_its_pause_is_over(breaker: CircuitBreaker, clock: FakeClock) -> None:
    open_it(breaker)
    assert not breaker.allow()
    assert 7.5 <= breaker.retry_in_s() <= 12.5
    clock.advance(breaker.retry_in_s() - 0.01)
    assert not breaker.allow()
    clock.advance(0.02)
    assert breaker.allow()


def test_half_open_lets_one_probe_through(breaker: CircuitBreaker, clock: FakeClock) -> None:
    open_it(breaker)
    half_open_it(breaker, clock)
    assert breaker.allow()
    assert not breaker.allow()


def test_a_probe_that_works_closes_it(breaker: CircuitBreaker, clock: FakeClock) -> None:
    open_it(breaker)
    half_open_it(breaker, clock)
    breaker.allow()
    breaker.success()
    assert breaker.state is BreakerState.CLOSED
    breaker.failure()
    assert breaker.state is BreakerState.CLOSED, "the count began anew"


def test_a_probe_that_fails_opens_it_for_longer(breaker: CircuitBreaker, clock: FakeClock) -> None:
    open_it(breaker)
    pauses = []
    for _ in range(6):
        half_open_it(breaker, clock)
        breaker.allow()
        breaker.failure()
        pauses.append(breaker.retry_in_s())
    assert pauses[0] >= 15 and pauses[1] >= 30
    assert max(pauses) <= 100


def test_calls_under_way_that_fail_after_it_opened_do_not_lengthen_the_pause(breaker: CircuitBreaker) -> None:
    open_it(breaker)
    pause_s = breaker.retry_in_s()
    for _ in range(10):
        breaker.failure()
    assert breaker.retry_in_s() == pause_s


def test_a_probe_that_is_never_heard_of_again_does_not_keep_it_shut_for_ever(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    open_it(breaker)
    half_open_it(breaker, clock)
    assert breaker.allow()
    clock.advance(9.9)
    assert not breaker.allow()
    clock.advance(0.2)
    assert breaker.allow()


def test_who_wants_to_know_is_told_each_time_it_closes_again(clock: FakeClock) -> None:
    told: list[float] = []
    breaker = CircuitBreaker(clock, failures=3, first_pause_s=10, on_close=lambda: told.append(clock.mono()))
    breaker.success()
    assert not told, "it was not open"
    for _ in range(2):
        open_it(breaker)
        half_open_it(breaker, clock)
        assert breaker.allow()
        breaker.success()
        breaker.success()
    assert len(told) == 2


def test_open_for_opens_at_once_for_the_time_given(breaker: CircuitBreaker, clock: FakeClock) -> None:
    breaker.open_for(60)
    assert not breaker.allow()
    assert breaker.retry_in_s() == 60
    clock.advance(60)
    assert breaker.allow()
    breaker.failure()
    assert breaker.state is BreakerState.OPEN, "a failed probe opens again at once"


def test_open_for_never_shortens_a_longer_pause(breaker: CircuitBreaker) -> None:
    breaker.open_for(60)
    breaker.open_for(1)
    assert breaker.retry_in_s() == 60
