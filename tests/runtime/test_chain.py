"""A future that follows another."""
from __future__ import annotations

from concurrent.futures import Future

import pytest

from mbusgw.model.errors import MbusgwError, NoAnswer
from mbusgw.runtime.chain import then


def test_it_has_what_the_function_makes_of_the_first() -> None:
    first: Future[int] = Future()
    following = then(first, lambda number: number + 1)
    assert not following.done()
    first.set_result(1)
    assert following.result() == 2


def test_the_error_of_the_first_is_its_own() -> None:
    first: Future[int] = Future()
    following = then(first, lambda number: number)
    first.set_exception(NoAnswer("nobody"))
    assert isinstance(following.exception(), NoAnswer)


def test_the_function_may_fail() -> None:
    def fail(_number: int) -> int:
        raise MbusgwError("no")

    first: Future[int] = Future()
    following = then(first, fail)
    first.set_result(1)
    assert str(following.exception()) == "no"


def test_a_mistake_in_the_function_leaves_nobody_waiting() -> None:
    first: Future[int] = Future()
    following = then(first, lambda number: number // 0)
    first.set_result(1)
    assert isinstance(following.exception(), MbusgwError)


def test_cancelling_it_cancels_the_first() -> None:
    first: Future[int] = Future()
    following = then(first, lambda number: number)
    assert following.cancel() and first.cancelled() and following.cancelled()


def test_it_cannot_be_cancelled_once_the_first_has_begun() -> None:
    first: Future[int] = Future()
    following = then(first, lambda number: number)
    assert first.set_running_or_notify_cancel()
    assert not following.cancel()
    first.set_result(3)
    assert following.result() == 3


@pytest.mark.parametrize("number", [1, 2])
def test_a_first_that_has_ended_is_followed_at_once(number: int) -> None:
    first: Future[int] = Future()
    first.set_result(number)
    assert then(first, str).result() == str(number)
