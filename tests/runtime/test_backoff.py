"""Growing pauses."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mbusgw.runtime.backoff import Backoff


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(5, 300, jitter=0)
    assert [backoff.next_s() for _ in range(8)] == [5, 10, 20, 40, 80, 160, 300, 300]


def test_reset_begins_anew() -> None:
    backoff = Backoff(1, 60, jitter=0)
    for _ in range(4):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == 1


def test_jitter_scatters_both_ways() -> None:
    assert Backoff(10, 60, jitter=0.25, uniform=lambda low, high: low).next_s() == 7.5
    assert Backoff(10, 60, jitter=0.25, uniform=lambda low, high: high).next_s() == 12.5


@given(st.floats(0.01, 100), st.floats(1, 5000), st.integers(1, 2000))
def test_a_pause_never_exceeds_the_longest_however_often_one_tries(first_s: float, max_s: float, tries: int) -> None:
    backoff = Backoff(first_s, max_s)
    assert all(0 < backoff.next_s() <= max_s for _ in range(tries))
