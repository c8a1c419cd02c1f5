"""The bounded queue between threads."""
from __future__ import annotations

import threading
import time

import pytest

from mbusgw.model.errors import Stopping
from mbusgw.runtime.mailbox import Mailbox
from mbusgw.runtime.worker import spawn
from tests.wait import PATIENCE_S, wait_until


def test_items_come_out_in_the_order_they_went_in() -> None:
    box: Mailbox[int] = Mailbox(10)
    assert all(box.offer(number) for number in (3, 1, 2))
    assert [box.take(0), box.take(0), box.take(0)] == [3, 1, 2]


def test_an_ordered_box_gives_the_smallest_first() -> None:
    box: Mailbox[tuple[int, str]] = Mailbox(10, ordered=True)
    for item in ((2, "b"), (1, "z"), (1, "a"), (3, "c")):
        box.offer(item)
    assert box.take(0) == (1, "a")
    assert box.drain(10) == [(1, "z"), (2, "b"), (3, "c")]


def test_a_full_box_refuses_without_waiting() -> None:
    box: Mailbox[int] = Mailbox(2)
    assert box.offer(1) and box.offer(2)
    assert not box.offer(3)
    assert len(box) == 2
    box.take(0)
    assert box.offer(3)


def test_an_empty_box_gives_none_after_the_timeout() -> None:
    box: Mailbox[int] = Mailbox(2)
    began = time.monotonic()
    assert box.take(0.03) is None
    assert time.monotonic() - began > 0.025
    assert box.take(-1) is None


def test_drain_takes_no_more_than_asked_for_and_never_waits() -> None:
    box: Mailbox[int] = Mailbox(10)
    for number in range(5):
        box.offer(number)
    assert box.drain(3) == [0, 1, 2]
    assert box.drain(3) == [3, 4]
    assert box.drain(3) == []
    assert box.take(0) is None, "nothing is left over that would wake for nothing"


def test_a_closed_box_refuses_but_gives_out_what_it_holds() -> None:
    box: Mailbox[int] = Mailbox(10)
    box.offer(1)
    box.offer(2)
    box.close()
    assert box.closed
    assert not box.offer(3)
    assert box.take(5) == 1
    assert box.drain(5) == [2]
    with pytest.raises(Stopping):
        box.take(5)
    with pytest.raises(Stopping):
        box.take(5)


def test_close_wakes_everybody_who_waits() -> None:
    box: Mailbox[int] = Mailbox(10)
    stopped: list[str] = []

    def wait_for_it() -> None:
        try:
            box.take(30)
        except Stopping:
            stopped.append(threading.current_thread().name)

    threads = [spawn(f"taker{number}", wait_for_it) for number in range(4)]
    box.close()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(stopped) == ["taker0", "taker1", "taker2", "taker3"]


def test_an_offer_wakes_the_one_who_waits() -> None:
    box: Mailbox[int] = Mailbox(10)
    got: list[int | None] = []
    thread = spawn("taker", lambda: got.append(box.take(30)))
    box.offer(7)
    thread.join(PATIENCE_S)
    assert got == [7]


@pytest.mark.parametrize("ordered", [False, True])
def test_what_is_accepted_is_taken_exactly_once_whatever_the_threads_do(ordered: bool) -> None:
    """Many offer, two take, then the box is closed: nothing accepted is lost behind the last look."""
    box: Mailbox[int] = Mailbox(50, ordered=ordered)
    accepted: list[list[int]] = [[] for _ in range(4)]
    taken: list[list[int]] = [[], []]

    def offer(who: int) -> None:
        number = who
        while not box.closed:
            if box.offer(number):
                accepted[who].append(number)
                number += 4

    def take(who: int) -> None:
        try:
            while True:
                item = box.take(0.5)
                if item is not None:
                    taken[who].append(item)
                taken[who] += box.drain(3)
        except Stopping:
            pass

    threads = [spawn(f"offer{who}", lambda who=who: offer(who)) for who in range(4)]
    threads += [spawn(f"take{who}", lambda who=who: take(who)) for who in range(2)]
    wait_until(lambda: sum(map(len, taken)) > 3000)
    box.close()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(sum(taken, [])) == sorted(sum(accepted, []))
    assert len(box) == 0


def test_several_are_taken_in_together_or_not_at_all() -> None:
    box: Mailbox[int] = Mailbox(3)
    assert box.offer_all([1, 2])
    assert not box.offer_all([3, 4])
    assert box.offer_all([3])
    assert (box.take(0), box.drain(5)) == (1, [2, 3])
    box.close()
    assert not box.offer_all([5])


def test_what_one_of_a_team_leaves_wakes_the_next() -> None:
    box: Mailbox[int] = Mailbox(10)
    taken: list[list[int]] = []

    def take() -> None:
        first = box.take(PATIENCE_S)
        assert first is not None
        taken.append([first, *box.drain(1)])

    threads = [spawn(f"take{who}", take) for who in range(2)]
    box.offer_all([1, 2, 3, 4])
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(taken) == [[1, 2], [3, 4]]
