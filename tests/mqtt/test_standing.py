"""What is said of a connection, and when it is tried again."""
from __future__ import annotations

import logging

import pytest

from mbusgw.mqtt.standing import RIVAL_S, SHORT_ONES, STEADY_S, Standing
from tests.fakes.clock import FakeClock


@pytest.fixture
def standing(clock: FakeClock) -> Standing:
    return Standing("host:1883", "gateway", reconnect_s=(5, 300), clock=clock)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_connections_that_break_again_and_again_are_not_told_each_time(
    standing: Standing, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(50):
        standing.connected()
        clock.advance(STEADY_S / 2)
        standing.broke("it broke")
    assert len(told(caplog)) == SHORT_ONES and "in a row broke" in told(caplog)[-1]
    standing.connected()
    assert "broke after a short time" in str(standing.trouble)
    clock.advance(STEADY_S)
    assert standing.trouble is None
    standing.broke("it broke")
    assert len(told(caplog)) == SHORT_ONES + 1, "it had been well, so this is news"


def test_a_broker_that_refuses_us_is_asked_more_and_more_rarely(standing: Standing) -> None:
    pauses_s = [standing.refused("Not authorized") for _ in range(12)]
    assert pauses_s[0] < 10 and pauses_s[-1] > 200 and max(pauses_s) <= 300
    standing.connected()
    assert standing.refused("Not authorized") < 10


def test_a_broker_that_is_away_is_tried_every_few_seconds_however_long(standing: Standing) -> None:
    assert max(standing.unreachable() for _ in range(100)) <= 5


def test_with_a_rival_each_pause_is_longer_although_we_were_connected_between(
    standing: Standing, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    pauses_s = []
    for _ in range(9):
        standing.connected()
        clock.advance(1)
        pauses_s.append(standing.taken_over())
    assert pauses_s[0] < 10 and pauses_s[-1] > 200
    assert len(told(caplog)) == 1
    standing.connected()
    clock.advance(RIVAL_S)
    assert standing.trouble is None
    assert standing.taken_over() < 10
    assert len(told(caplog)) == 2
