"""How many requests pass."""
from __future__ import annotations

import pytest

from mbusgw.commands.bucket import Bucket
from mbusgw.model.errors import RequestError
from tests.fakes.clock import FakeClock


def test_a_burst_passes_and_then_as_many_as_the_rate_allows() -> None:
    clock = FakeClock()
    bucket = Bucket(clock, rate_per_s=2, burst=3)
    assert [bucket.allow() for _ in range(4)] == [True, True, True, False]
    clock.advance(1)
    assert [bucket.allow() for _ in range(3)] == [True, True, False]


def test_a_long_rest_allows_no_more_than_a_burst() -> None:
    clock = FakeClock()
    bucket = Bucket(clock, rate_per_s=2, burst=3)
    clock.advance(3600)
    assert [bucket.allow() for _ in range(4)] == [True, True, True, False]


def test_one_too_many_is_told_when_to_come_back() -> None:
    bucket = Bucket(FakeClock(), rate_per_s=0.1, burst=1)
    bucket.take()
    with pytest.raises(RequestError) as caught:
        bucket.take()
    assert (caught.value.status, caught.value.retry_after_s) == (429, 10)
