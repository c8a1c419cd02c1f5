"""What is said once, and not each time."""
from __future__ import annotations

from mbusgw.runtime.once import Once


def test_each_thing_is_said_the_first_time() -> None:
    once = Once(9)
    assert [once.begins("key", who) for who in ("a", "b", "a", "b")] == [True, True, False, False]


def test_what_has_ended_may_begin_anew() -> None:
    once = Once(9)
    assert not once.ends("rate", "a")
    once.begins("rate", "a")
    assert [once.ends("rate", "b"), once.ends("rate", "a"), once.ends("rate", "a")] == [False, True, False]
    assert once.begins("rate", "a")


def test_it_forgets_rather_than_grow() -> None:
    once = Once(2)
    assert [once.begins(who) for who in ("a", "b", "c", "c", "a")] == [True, True, True, False, True]
