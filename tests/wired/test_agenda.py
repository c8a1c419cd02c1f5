"""When a meter is asked next."""
from __future__ import annotations

import logging
from datetime import time

import pytest

from mbusgw.model.errors import DecodeError, NoAnswer, TransportLost
from mbusgw.runtime.breaker import BreakerState
from mbusgw.wired.agenda import PORT_AWAY_S, PROBE_FIRST_S, Agenda
from tests.fakes.clock import FakeClock


def begun(clock: FakeClock, interval_s: float | None = 60.0, *times: time) -> Agenda:
    agenda = Agenda("meter_1", interval_s, times, clock)
    agenda.begin()
    return agenda


def when_due(agenda: Agenda, clock: FakeClock) -> None:
    while (wait_s := agenda.wait_s()) > 0:
        clock.advance(wait_s)


def test_a_meter_is_asked_once_an_interval() -> None:
    clock = FakeClock()
    agenda = begun(clock)
    when_due(agenda, clock)
    first = clock.mono()
    for _ in range(3):
        clock.advance(0.4)
        agenda.succeeded(clock.now())
        when_due(agenda, clock)
    assert clock.mono() - first <= 4 * 60
    assert agenda.next_read_at() is not None


def test_five_failures_in_a_row_open_the_breaker_and_a_reading_closes_it() -> None:
    clock = FakeClock()
    agenda = begun(clock)
    for _ in range(5):
        when_due(agenda, clock)
        agenda.failed(NoAnswer("silent"))
    assert agenda.breaker is BreakerState.OPEN and agenda.failures_in_a_row == 5
    assert agenda.wait_s() >= PROBE_FIRST_S / 2
    when_due(agenda, clock)
    agenda.succeeded(clock.now())
    assert agenda.breaker is BreakerState.CLOSED and agenda.failures_in_a_row == 0


def test_a_port_that_is_away_is_not_the_meters_failure() -> None:
    clock = FakeClock()
    agenda = begun(clock)
    for _ in range(9):
        when_due(agenda, clock)
        agenda.failed(TransportLost("unplugged"))
    assert agenda.breaker is BreakerState.CLOSED and agenda.wait_s() == pytest.approx(PORT_AWAY_S)


def test_one_that_answers_what_nobody_can_read_is_asked_as_often_as_ever() -> None:
    clock = FakeClock()
    agenda = begun(clock)
    for _ in range(9):
        when_due(agenda, clock)
        agenda.failed(DecodeError("no frame of ours"))
    assert agenda.breaker is BreakerState.CLOSED and 30 <= agenda.wait_s() <= 90


def test_another_interval_begins_with_a_read_at_once() -> None:
    clock = FakeClock()
    agenda = begun(clock)
    when_due(agenda, clock)
    agenda.succeeded(clock.now())
    agenda.follow(5.0)
    assert agenda.wait_s() == 0 and agenda.interval_s == 5.0


def test_a_time_of_the_day_that_could_not_be_had_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    agenda = begun(clock, None, time(0))
    agenda.heed_calendar()
    clock.advance(24 * 3600)
    agenda.heed_calendar()
    clock.advance(3700)
    for _ in range(3):
        agenda.heed_calendar()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 1 and "meter_1: there is no reading of 2026-03-02 00:00" in told[0]
