"""Readings are kept until they are stored."""
from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from mbusgw.model.errors import StoreBusy, StoreFull
from mbusgw.model.reading import Lane, Reading
from mbusgw.model.telegram import Header
from mbusgw.wired.handover import KEPT, Handover

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class HandClock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def mono(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


class SlowDelivery:
    """Leaves every future open until the test ends it."""

    def __init__(self) -> None:
        self.open: deque[tuple[Reading, Future[Any]]] = deque()
        self.busy = False

    def deliver(self, reading: Reading, *also: object) -> "Future[Any]":
        if self.busy:
            raise StoreBusy("too much waits to be written")
        future: Future[Any] = Future()
        self.open.append((reading, future))
        return future


def reading(n: int) -> Reading:
    return Reading("m1", START + timedelta(seconds=n), Lane.WIRED, Header(0x72), {})


def build() -> tuple[Handover, SlowDelivery, HandClock, list["Future[Any]"]]:
    delivery, clock = SlowDelivery(), HandClock()
    ended: list[Future[Any]] = []
    return Handover("m1", delivery, clock=clock, done=ended.append), delivery, clock, ended


def test_one_reading_at_a_time_goes_to_the_store_in_order() -> None:
    handover, delivery, _, ended = build()
    for n in range(3):
        handover.hand(reading(n))
    stored = []
    for _ in range(3):
        assert len(delivery.open) == 1
        one, future = delivery.open.popleft()
        stored.append(one.read_at)
        future.set_result(None)
        handover.settle(ended.pop())
    assert stored == [reading(n).read_at for n in range(3)]
    assert len(handover) == 0 and handover.retry_in_s() is None


def test_what_could_not_be_stored_is_tried_again_after_a_pause() -> None:
    handover, delivery, clock, ended = build()
    handover.hand(reading(1))
    delivery.open.popleft()[1].set_exception(StoreFull("no space left"))
    handover.settle(ended.pop())
    pause_s = handover.retry_in_s()
    assert pause_s is not None and pause_s > 0 and len(handover) == 1
    handover.hand(reading(2))
    assert not delivery.open, "the newer one does not overtake"
    clock.seconds += pause_s
    assert handover.retry_in_s() == 0
    handover.retry()
    assert delivery.open[0][0] == reading(1)


def test_a_store_that_refuses_at_the_door_is_tried_again_too() -> None:
    handover, delivery, _, _ = build()
    delivery.busy = True
    handover.hand(reading(1))
    assert handover.retry_in_s() is not None
    delivery.busy = False
    handover.retry()
    assert len(delivery.open) == 1


def test_of_too_many_the_oldest_goes_but_not_the_one_on_its_way(caplog: pytest.LogCaptureFixture) -> None:
    handover, delivery, _, ended = build()
    for n in range(KEPT + 2):
        handover.hand(reading(n))
    assert len(handover) == KEPT
    assert sum("given up" in record.getMessage() for record in caplog.records) == 2
    delivery.open.popleft()[1].set_result(None)
    handover.settle(ended.pop())
    assert delivery.open[0][0] == reading(3)


def test_a_mistake_of_the_delivery_is_not_repeated_for_ever() -> None:
    handover, delivery, _, ended = build()
    handover.hand(reading(1))
    delivery.open.popleft()[1].set_exception(TypeError("a mistake in our own code"))
    with pytest.raises(TypeError):
        handover.settle(ended.pop())
    assert len(handover) == 0


def test_the_end_of_something_else_is_ignored() -> None:
    handover, delivery, _, _ = build()
    handover.hand(reading(1))
    other: Future[Any] = Future()
    other.set_result(None)
    handover.settle(other)
    assert len(handover) == 1 and len(delivery.open) == 1
