"""Requests: begun, followed, ended, remembered, refused."""
from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from mbusgw.commands.desk import KEPT, Desk
from mbusgw.model.command import Document, Task, TaskState, Tell, error_document, status_of
from mbusgw.model.errors import ConfigError, NoAnswer, Problem, RequestError
from tests.fakes.clock import FakeClock
from tests.wait import PATIENCE_S


class Work:
    """An operation whose ends the test holds."""

    def __init__(self) -> None:
        self.futures: list[Future[Document]] = []
        self.tells: list[Tell] = []
        self.given: list[Document] = []

    def __call__(self, given: Document, tell: Tell) -> Future[Document]:
        self.given.append(given)
        self.tells.append(tell)
        self.futures.append(Future())
        return self.futures[-1]


def desk_with(work: Any, **options: Any) -> Desk:
    desk = Desk(FakeClock(), **{"rate_per_s": 1000, "burst": 1000, **options})
    desk.add("work", work, "does some work")
    return desk


def test_short_work_is_done_at_once() -> None:
    desk = desk_with(lambda given, _tell: {"twice": 2 * given["number"]})
    task = desk.submit("work", {"number": 4})
    assert (task.state, task.result) == (TaskState.DONE, {"twice": 8})
    assert desk.get(task.id) == task


def test_long_work_is_followed_to_its_end() -> None:
    work, seen = Work(), list[Task]()
    desk = desk_with(work)
    task = desk.submit("work", {"a": 1}, seen.append)
    assert task.state is TaskState.RUNNING and work.given == [{"a": 1}]
    work.tells[0]({"percent": 50})
    work.futures[0].set_result({"found": 3})
    assert [(one.state.value, one.progress, one.result) for one in seen] == [
        ("running", {"percent": 50}, None),
        ("done", {"percent": 50}, {"found": 3}),
    ]
    assert {one.id for one in seen} == {task.id}
    assert desk.get(task.id).document()["result"] == {"found": 3}


def test_work_that_fails_keeps_its_error() -> None:
    work = Work()
    desk = desk_with(work)
    task = desk.submit("work", {})
    work.futures[0].set_exception(NoAnswer("nobody is there", hint="look at the wiring"))
    document = desk.get(task.id).document()
    assert document["state"] == "failed"
    assert document["error"] == {
        "code": "no_answer", "message": "nobody is there", "hint": "look at the wiring", "status": 503,
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_in_the_work_leaves_nobody_waiting() -> None:
    work = Work()
    desk = desk_with(work)
    task = desk.submit("work", {})
    work.futures[0].set_exception(ZeroDivisionError())
    assert desk.wait(task.id, 10).state is TaskState.FAILED


def test_a_refused_request_is_not_remembered() -> None:
    def refuse(_given: Document, _tell: Tell) -> Document:
        raise RequestError(400, "bad_request", "no", field="it")

    desk = desk_with(refuse)
    with pytest.raises(RequestError, match="no"):
        desk.submit("work", {})
    assert desk.tasks() == []


def test_an_unknown_command_is_told_which_there_are() -> None:
    with pytest.raises(RequestError, match="there are work") as caught:
        desk_with(Work()).submit("wrok", {})
    assert caught.value.status == 404


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="work already"):
        desk_with(Work()).add("work", Work(), "again")


def test_only_the_last_ones_are_remembered() -> None:
    desk = desk_with(lambda _given, _tell: {})
    first, *others = [desk.submit("work", {}).id for _ in range(KEPT + 1)]
    assert [task.id for task in desk.tasks()] == others
    with pytest.raises(RequestError) as caught:
        desk.get(first)
    assert caught.value.status == 404


def test_work_in_hand_is_never_forgotten() -> None:
    work = Work()
    desk = desk_with(work)
    desk.add("short", lambda _given, _tell: {}, "is done at once")
    task = desk.submit("work", {})
    for _ in range(2 * KEPT):
        desk.submit("short", {})
    assert desk.get(task.id).state is TaskState.RUNNING
    assert len(desk.tasks()) == KEPT


def test_too_many_at_once_are_refused_until_one_has_ended() -> None:
    work = Work()
    desk = desk_with(work, running_max=2)
    desk.submit("work", {}), desk.submit("work", {})
    with pytest.raises(RequestError) as caught:
        desk.submit("work", {})
    assert caught.value.status == 429 and len(work.futures) == 2
    work.futures[0].set_result({})
    desk.submit("work", {})


def test_too_many_in_a_second_are_refused() -> None:
    desk = desk_with(lambda _given, _tell: {}, rate_per_s=1, burst=2)
    desk.submit("work", {}), desk.submit("work", {})
    with pytest.raises(RequestError) as caught:
        desk.submit("work", {})
    assert caught.value.status == 429


def test_work_that_has_not_begun_can_be_cancelled() -> None:
    work = Work()
    desk = desk_with(work)
    task = desk.submit("work", {})
    assert desk.cancel(task.id).state is TaskState.CANCELLED
    assert work.futures[0].cancelled()


def test_work_that_has_begun_cannot_unless_it_knows_how() -> None:
    work = Work()
    desk = desk_with(work)
    task = desk.submit("work", {})
    work.futures[0].set_running_or_notify_cancel()
    with pytest.raises(RequestError) as caught:
        desk.cancel(task.id)
    assert caught.value.status == 409
    work.futures[0].set_result({})
    assert desk.get(task.id).state is TaskState.DONE


def test_cancelled_work_keeps_what_it_had_until_then() -> None:
    work, asked = Work(), list[bool]()
    desk = Desk(FakeClock())
    desk.add("scan", work, "takes long", cancel=lambda: asked.append(True) or True)
    task = desk.submit("scan", {})
    work.futures[0].set_running_or_notify_cancel()
    assert desk.cancel(task.id).state is TaskState.RUNNING and asked == [True]
    work.futures[0].set_result({"found": 1})
    assert (desk.get(task.id).state, desk.get(task.id).result) == (TaskState.CANCELLED, {"found": 1})


def test_who_waits_is_woken_by_the_end_and_by_the_close() -> None:
    work = Work()
    desk = desk_with(work)
    first, second = desk.submit("work", {}).id, desk.submit("work", {}).id
    states: list[TaskState] = []
    waiters = [
        threading.Thread(target=lambda task_id=one: states.append(desk.wait(task_id, 60).state))
        for one in (first, second)
    ]
    waiters[0].start()
    work.futures[0].set_result({})
    waiters[0].join(PATIENCE_S)
    waiters[1].start()
    desk.close()
    waiters[1].join(PATIENCE_S)
    assert states == [TaskState.DONE, TaskState.RUNNING]


def test_after_the_close_nothing_is_begun() -> None:
    desk = desk_with(Work())
    desk.close()
    with pytest.raises(RequestError) as caught:
        desk.submit("work", {})
    assert caught.value.status == 503


def test_an_error_says_what_a_program_and_a_person_need() -> None:
    error = RequestError(409, "address_taken", "it is taken", field="new")
    assert error_document(error) == {"code": "address_taken", "message": "it is taken", "field": "new"}
    assert status_of(error) == 409
    config = ConfigError([Problem("f.yaml", 3, "buses", "is wrong")])
    assert error_document(config)["problems"] == ["f.yaml:3: buses: is wrong"]
    assert status_of(config) == 503
