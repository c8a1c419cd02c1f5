"""Whose turn it is: urgency, order of arrival, and that nobody waits for ever."""
from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from typing import Any

import pytest

from mbusgw.mbus.session import Session
from mbusgw.model.errors import Stopping
from mbusgw.wired.turns import ALLOWANCE_S, MAX_JOBS, Turns, Urgency
from tests.fakes.clock import FakeClock

LATER = 1e9


def nothing(session: Session) -> None:
    """Is never run here."""


class Line:
    """A line of named jobs on a clock of the test's own."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.turns = Turns(self.clock)
        self.names: dict[int, str] = {}

    def offer(self, name: str, urgency: Urgency = Urgency.ROUTINE) -> None:
        future: Future[Any] | None = self.turns.offer(nothing, LATER, urgency)
        assert future is not None
        self.names[id(future)] = name

    def take(self) -> str | None:
        job = self.turns.take(0)
        return None if job is None else self.names.pop(id(job.future))

    def all(self) -> list[str | None]:
        return [self.take() for _ in range(len(self.turns))]


def test_who_waits_in_person_is_first_and_background_is_last() -> None:
    line = Line()
    line.offer("scan", Urgency.BACKGROUND)
    line.offer("due 1")
    line.offer("due 2")
    line.offer("person 1", Urgency.NOW)
    line.offer("person 2", Urgency.NOW)
    assert line.all() == ["person 1", "person 2", "due 1", "due 2", "scan"]
    assert line.take() is None


def test_equals_are_served_in_the_order_in_which_they_came() -> None:
    line = Line()
    for n in range(50):
        line.offer(f"due {n}")
        line.clock.advance(0.001)
    assert line.all() == [f"due {n}" for n in range(50)]


def test_background_goes_at_once_where_nobody_else_waits() -> None:
    line = Line()
    line.offer("scan", Urgency.BACKGROUND)
    assert line.take() == "scan"


def serve(line: Line, rounds: int, job_s: float) -> list[str]:
    """Who is served on a bus that is never free: a meter asks again as soon as it was read, and so does a scan."""
    order: list[str] = []
    for _ in range(rounds):
        name = line.take()
        assert name is not None
        line.clock.advance(job_s)
        order.append(name)
        line.offer(name, Urgency.BACKGROUND if name == "scan" else Urgency.ROUTINE)
    return order


def test_on_a_bus_that_is_never_free_background_has_a_turn_every_few_seconds_and_meters_the_rest() -> None:
    line = Line()
    for n in range(60):
        line.offer(f"meter {n}")
    line.offer("scan", Urgency.BACKGROUND)
    order = serve(line, 600, 0.47)
    counts = Counter(order[60:])
    every = [later - earlier for earlier, later in zip(_places(order, "scan"), _places(order, "scan")[1:])]
    assert len(every) > 50 and max(every) * 0.47 <= 2 * ALLOWANCE_S[Urgency.BACKGROUND]
    assert counts["scan"] < 0.3 * 540
    meters = [count for name, count in counts.items() if name != "scan"]
    assert len(meters) == 60 and max(meters) - min(meters) <= 1


def _places(order: list[str], name: str) -> list[int]:
    return [place for place, served in enumerate(order) if served == name]


def test_a_person_in_a_hurry_does_not_bring_background_forward() -> None:
    line = Line()
    line.offer("due 1")
    line.offer("due 2")
    line.offer("person", Urgency.NOW)
    assert line.take() == "person"
    line.offer("scan", Urgency.BACKGROUND)
    assert line.all() == ["due 1", "due 2", "scan"]


def test_after_a_quiet_hour_background_is_behind_a_meter_that_comes_with_it() -> None:
    line = Line()
    line.offer("due 1")
    assert line.take() == "due 1"
    line.clock.advance(3600)
    line.offer("due 2")
    line.offer("scan", Urgency.BACKGROUND)
    assert line.all() == ["due 2", "scan"]


def test_a_full_line_takes_no_more_and_a_closed_one_nobody() -> None:
    line = Line()
    for n in range(MAX_JOBS):
        line.offer(str(n))
    assert line.turns.offer(nothing, LATER, Urgency.NOW) is None
    line.turns.close()
    assert line.turns.closed and len(line.turns.drain()) == MAX_JOBS
    assert line.turns.offer(nothing, LATER, Urgency.NOW) is None
    with pytest.raises(Stopping):
        line.turns.take(0)
