"""The table of routes."""
from __future__ import annotations

import logging

import pytest

from mbusgw.model.errors import MbusgwError, RequestError, StoreBusy
from mbusgw.runtime import exactjson
from mbusgw.web.message import Request, Response, json_response
from mbusgw.web.probes import index_route
from mbusgw.web.router import Route, Router


def named(request: Request) -> Response:
    return json_response(200, dict(request.names))


def failing(error: Exception) -> Response:
    raise error


ROUTER = Router(
    [
        Route("GET", "/things", lambda _: Response(200, b"all"), "list"),
        Route("POST", "/things", lambda _: Response(202), "add"),
        Route("GET", "/things/{thing}", named, "one"),
        Route("DELETE", "/things/{thing}", named, "remove"),
        Route("GET", "/things/{thing}/parts/{part}", named, "a part"),
        Route("HEAD", "/own", lambda _: Response(204), "probe"),
        Route("GET", "/full", lambda _: failing(RequestError(429, "slow", "later", retry_after_s=7)), "429"),
        Route("GET", "/store", lambda _: failing(StoreBusy("the database is busy")), "store"),
        Route("GET", "/other", lambda _: failing(MbusgwError("not now")), "other"),
    ]
)


def ask(method: str, path: str) -> Response:
    return ROUTER.answer(Request(method, path))


def test_a_path_is_answered_by_its_handler() -> None:
    assert ask("GET", "/things").body == b"all"
    assert ask("POST", "/things").status == 202


def test_the_parts_that_a_pattern_names_reach_the_handler() -> None:
    assert exactjson.loads(ask("GET", "/things/a.b").body) == {"thing": "a.b"}
    assert exactjson.loads(ask("DELETE", "/things/7").body) == {"thing": "7"}
    assert exactjson.loads(ask("GET", "/things/7/parts/x").body) == {"thing": "7", "part": "x"}


@pytest.mark.parametrize("path", ["/", "/thing", "/things/", "/things/a/b", "*", "/THINGS"])
def test_an_unknown_path_is_404_as_json(path: str) -> None:
    answer = ask("GET", path)
    assert answer.status == 404
    assert exactjson.loads(answer.body)["error"] == "not_found"


@pytest.mark.parametrize(
    "method, path, allow",
    [
        ("PUT", "/things", "GET, HEAD, POST"),
        ("POST", "/things/7", "DELETE, GET, HEAD"),
        ("GET", "/own", "HEAD"),
        ("OPTIONS", "/things", "GET, HEAD, POST"),
    ],
)
def test_another_method_is_405_and_told_which_ones_work(method: str, path: str, allow: str) -> None:
    answer = ask(method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allow)


def test_head_is_answered_by_get_unless_it_has_a_row_of_its_own() -> None:
    assert ask("HEAD", "/things").status == 200
    assert ask("HEAD", "/own").status == 204


def test_an_error_that_says_when_to_come_back_sends_retry_after() -> None:
    answer = ask("GET", "/full")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert exactjson.loads(answer.body) == {"error": "slow", "message": "later"}


@pytest.mark.parametrize("path, code", [("/store", "store"), ("/other", "unavailable")])
def test_our_own_errors_are_503_and_logged(path: str, code: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = ask("GET", path)
    assert (answer.status, exactjson.loads(answer.body)["error"]) == (503, code)
    assert "Retry-After" in answer.headers
    assert path in caplog.text


def test_the_list_of_routes_is_there_for_people_and_programs() -> None:
    index = index_route(ROUTER.routes, "1.2.3")
    document = exactjson.loads(index.handler(Request("GET", "/")).body)
    assert document["version"] == "1.2.3"
    assert [row["path"] for row in document["routes"]] == [route.pattern for route in ROUTER.routes]
    page = index.handler(Request("GET", "/", headers={"accept": "text/html,*/*"}))
    assert page.content_type.startswith("text/html")
    assert b'href="/things"' in page.body and b'href="/things/{thing}"' not in page.body
