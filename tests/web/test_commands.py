"""Asking over HTTP, and looking what became of it."""
from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from mbusgw.commands.desk import Desk
from mbusgw.model.command import Document, Tell
from mbusgw.model.errors import NoAnswer, RequestError
from mbusgw.runtime.clock import SystemClock
from mbusgw.web.commands import CommandRoutes
from mbusgw.web.router import Router
from mbusgw.web.server import HttpServer
from tests.web.client import Answered, Client, serving

PATH = "/v1/admin/commands"


class Works:
    """The desk behind the server, and the ends of its long work."""

    def __init__(self, server: HttpServer, futures: list[Future[Document]], tells: list[Tell]) -> None:
        self.port = server.port
        self.futures = futures
        self.tells = tells

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answered:
        with Client(self.port) as client:
            return client.request(method, path, body, **{"Authorization": "Bearer admin", **headers})


@pytest.fixture
def works() -> Iterator[Works]:
    futures: list[Future[Document]] = []
    tells: list[Tell] = []

    def long_work(_given: Document, tell: Tell) -> Future[Document]:
        tells.append(tell)
        futures.append(Future())
        return futures[-1]

    def short_work(given: Document, _tell: Tell) -> Document:
        if "number" not in given:
            raise RequestError(400, "bad_request", "number is needed", field="number")
        return {"twice": 2 * given["number"]}

    desk = Desk(SystemClock())
    desk.add("scan", long_work, "takes long", cancel=lambda: bool(futures[-1].set_result({"found": 0})) or True)
    desk.add("short", short_work, "is done at once")
    desk.add("wait", long_work, "takes long and cannot be stopped")
    with serving(Router(CommandRoutes(desk, "admin", waiting_max=1).routes()).answer) as server:
        yield Works(server, futures, tells)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH),
        ("POST", f"{PATH}/short"),
        ("GET", f"{PATH}/1"),
        ("DELETE", f"{PATH}/1"),
        ("POST", "/trigger-scan"),
    ],
)
def test_only_an_administrator_may(works: Works, method: str, path: str) -> None:
    assert works.ask(method, path, b"{}", Authorization="Bearer wrong").status == 401
    assert works.futures == []


def test_short_work_is_answered_with_its_result(works: Works) -> None:
    answer = works.ask("POST", f"{PATH}/short", b'{"number": 4}')
    assert (answer.status, answer.json) == (200, {"twice": 8})


def test_long_work_is_accepted_and_can_be_looked_at(works: Works) -> None:
    answer = works.ask("POST", f"{PATH}/wait", b"")
    assert answer.status == 202 and answer.json["state"] == "running"
    place = answer.headers["location"]
    assert place == f"{PATH}/{answer.json['id']}"
    works.tells[0]({"percent": 50})
    assert works.ask("GET", place).json["progress"] == {"percent": 50}
    works.futures[0].set_result({"found": 3})
    ended = works.ask("GET", place).json
    assert (ended["state"], ended["result"]) == ("done", {"found": 3})


def test_who_asks_may_wait_for_the_end(works: Works) -> None:
    with Client(works.port) as client:
        body = b"{}"
        client.send(
            b"POST /v1/admin/commands/wait?wait=60 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n"
            b"Content-Length: 2\r\n\r\n" + body
        )
        while not works.futures:
            works.ask("GET", PATH)
        # The one who may wait does; a second one is answered at once.
        assert works.ask("POST", f"{PATH}/wait?wait=60", b"{}").status == 202
        works.futures[0].set_result({"found": 1})
        answer = client.answer()
    assert (answer.status, answer.json) == (200, {"found": 1})


def test_work_that_failed_is_an_error_like_any_other(works: Works) -> None:
    task = works.ask("POST", f"{PATH}/wait", b"").json["id"]
    works.futures[0].set_exception(NoAnswer("nobody is there", hint="look at the wiring"))
    document = works.ask("GET", f"{PATH}/{task}").json
    assert (document["error"]["code"], document["error"]["hint"]) == ("no_answer", "look at the wiring")


def test_a_scan_is_triggered_and_stopped(works: Works) -> None:
    answer = works.ask("POST", "/trigger-scan")
    assert answer.status == 202
    stopped = works.ask("DELETE", f"{PATH}/{answer.json['id']}")
    assert (stopped.status, stopped.json["state"]) == (200, "cancelled")


def test_work_that_cannot_be_stopped_says_so(works: Works) -> None:
    task = works.ask("POST", f"{PATH}/wait", b"").json["id"]
    works.futures[0].set_running_or_notify_cancel()
    assert works.ask("DELETE", f"{PATH}/{task}").status == 409
    works.futures[0].set_result({})


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        (f"{PATH}/fly", b"{}", 404, "unknown_command"),
        (f"{PATH}/short", b"{}", 400, "bad_request"),
        (f"{PATH}/short", b"{", 400, "bad_json"),
        (f"{PATH}/short", b"[1]", 400, "bad_type"),
        (f"{PATH}/short", b"[" * 60_000, 400, "bad_json"),
        (f"{PATH}/short", b"\xff", 400, "bad_json"),
        (f"{PATH}/short?wait=soon", b"{}", 400, "bad_request"),
        (f"{PATH}/short?wait=-1", b"{}", 400, "bad_request"),
        (f"{PATH}/short?wait=nan", b"{}", 400, "bad_request"),
        (f"{PATH}/short?wait=inf", b"{}", 400, "bad_request"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    works: Works, path: str, body: bytes, status: int, error: str
) -> None:
    answer = works.ask("POST", path, body)
    assert (answer.status, answer.json["error"]) == (status, error)
    assert answer.json["message"]


def test_the_table_and_the_last_tasks_are_listed(works: Works) -> None:
    works.ask("POST", f"{PATH}/short", b'{"number": 4}')
    document = works.ask("GET", PATH).json
    assert {"command": "short", "what": "is done at once"} in document["commands"]
    assert [(task["command"], task["state"]) for task in document["tasks"]] == [("short", "done")]
