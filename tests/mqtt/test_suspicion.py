"""Which message a broker ends its connections for."""
from __future__ import annotations

from mbusgw.mqtt.suspicion import BARRED_S, ENDINGS, HEARING_S, Suspicion
from mbusgw.store.outbox import Waiting

WINDOW = 100
WHY = "Unspecified error"


def row(number: int, *, topic: str = "t", size: int = 10) -> Waiting:
    return Waiting(number, topic, "x" * size, False)


def ended(suspicion: Suspicion, *under_way: Waiting, heard: bool = True, why: str | None = WHY) -> None:
    """A connection on which another message was acknowledged (``heard``), and that ended."""
    if heard:
        suspicion.acknowledged(row=False)
    suspicion.connected(under_way, why, 0.0)


def test_after_a_connection_that_brought_nothing_forward_what_was_under_way_goes_one_at_a_time() -> None:
    suspicion = Suspicion()
    assert suspicion.window(3, WINDOW, 0.0) == WINDOW
    ended(suspicion, row(3), row(4), row(5))
    assert suspicion.window(3, WINDOW, 0.0) == 0, "the broker has not shown yet that it is well"
    suspicion.acknowledged(row=False)
    assert [suspicion.window(number, WINDOW, 0.0) for number in (3, 4, 5, 6)] == [1, 1, 1, WINDOW]
    assert [suspicion.suspects(row(number)) for number in (5, 6)] == [True, False]


def test_a_broker_that_does_not_say_that_it_is_well_is_not_waited_for_for_ever() -> None:
    suspicion = Suspicion()
    ended(suspicion, row(1))
    assert [suspicion.window(1, WINDOW, mono) for mono in (HEARING_S - 1, HEARING_S)] == [0, 1]


def test_a_connection_that_ended_for_something_else_or_brought_some_forward_changes_nothing() -> None:
    suspicion = Suspicion()
    ended(suspicion, row(1), row(2), why=None)
    suspicion.acknowledged(row=True)
    ended(suspicion, row(3), row(4))
    ended(suspicion)
    assert suspicion.window(3, WINDOW, 0.0) == WINDOW


def test_what_was_under_way_alone_often_enough_is_barred_for_its_topic_and_size() -> None:
    suspicion = Suspicion()
    for _ in range(ENDINGS):
        ended(suspicion, row(1))
    assert suspicion.barred(row(1), 0.0) is None
    ended(suspicion, row(1))
    assert WHY in str(suspicion.barred(row(1), 0.0)) and suspicion.barred(row(7, size=11), 0.0)
    assert suspicion.suspects(row(8, size=9)), "the size is looked at when it is its turn"
    assert suspicion.barred(row(8, size=9), 0.0) is None and suspicion.barred(row(9, topic="u"), 0.0) is None
    assert suspicion.barred(row(1), BARRED_S) is None and suspicion.barred(row(1), 0.0) is None


def test_nobody_is_guilty_while_the_broker_takes_nothing_else_or_others_were_under_way_too() -> None:
    suspicion = Suspicion()
    for _ in range(3 * ENDINGS):
        ended(suspicion, row(1), heard=False)
        ended(suspicion, row(1), row(2))
    assert suspicion.barred(row(1), 0.0) is None


def test_the_count_begins_anew_with_another_message() -> None:
    suspicion = Suspicion()
    ended(suspicion, row(1), row(2))
    for number in (1, 2) * ENDINGS:
        ended(suspicion, row(number))
    assert suspicion.barred(row(1), 0.0) is None and suspicion.barred(row(2), 0.0) is None
