"""What is said of trouble that lasts."""
from __future__ import annotations

import logging
import threading

import pytest

from mbusgw.model.errors import NoAnswer, TransportLost
from mbusgw.runtime.condition import Condition
from mbusgw.runtime.worker import spawn
from tests.fakes.clock import FakeClock
from tests.wait import PATIENCE_S

log = logging.getLogger("tests.condition")


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "tests.condition")
    return caplog


def texts(said: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in said.records]


def test_it_is_said_when_it_begins_and_when_it_ends_with_the_count_between(said: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    condition = Condition(log, "meter_1", clock)
    for _ in range(3):
        condition.failed(NoAnswer("no answer", hint="is it connected?"))
        clock.advance(20)
    assert condition.failures == 3
    condition.cleared("answers again")
    condition.cleared("answers again")
    assert condition.failures == 0
    assert texts(said) == [
        ("WARNING", "meter_1: no answer (is it connected?)"),
        ("INFO", "meter_1: answers again after 3 failures in 60 s"),
    ]


def test_trouble_of_another_kind_is_said_too(said: pytest.LogCaptureFixture) -> None:
    condition = Condition(log, "bus main", FakeClock(), level=logging.ERROR)
    for error in (NoAnswer("one"), TransportLost("two"), NoAnswer("three")):
        condition.failed(error)
    assert texts(said) == [("ERROR", "bus main: one"), ("ERROR", "bus main: two")]


def test_after_its_end_it_is_said_anew(said: pytest.LogCaptureFixture) -> None:
    condition = Condition(log, "store", FakeClock())
    for _ in range(2):
        condition.failed(NoAnswer("no answer"))
        condition.cleared("works again")
    assert len(said.records) == 4


def test_many_threads_say_it_once(said: pytest.LogCaptureFixture) -> None:
    condition = Condition(log, "store", FakeClock())
    start = threading.Barrier(4)

    def fail() -> None:
        start.wait(PATIENCE_S)
        for _ in range(200):
            condition.failed(NoAnswer("no answer"))

    threads = [spawn(f"fail{number}", fail) for number in range(4)]
    for thread in threads:
        thread.join(PATIENCE_S)
    condition.cleared("works again")
    assert texts(said) == [
        ("WARNING", "store: no answer"),
        ("INFO", "store: works again after 800 failures in 0 s"),
    ]
