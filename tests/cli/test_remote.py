"""Asking a running gateway over HTTP: the server, the routes and the desk are real, the work is the test's."""
from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from mbusgw.cli.remote import Remote
from mbusgw.commands.desk import Desk
from mbusgw.config.loader import loads
from mbusgw.config.models import Config
from mbusgw.model.command import Document, Tell
from mbusgw.model.errors import MbusgwError, NoAnswer, RequestError
from mbusgw.runtime.clock import SystemClock
from mbusgw.web.commands import CommandRoutes
from mbusgw.web.message import Response, json_response
from mbusgw.web.probes import index_route
from mbusgw.web.router import Route, Router
from mbusgw.web.server import HttpServer
from mbusgw.web.tls import Certificate
from tests.certificates import issue, write_certificate
from tests.wait import PATIENCE_S
from tests.web.client import serving

STATE = {"buses": {"main": {"port": "/dev/ttyUSB0", "port_in_use": "/dev/ttyUSB7"}}}


def config(server: HttpServer, token: str = "admin") -> Config:
    return loads(f"http: {{listen: '127.0.0.1:{server.port}', admin_token: {token}}}", {})


def fail(_given: Document, _tell: Tell) -> Future[Document]:
    future: Future[Document] = Future()
    future.set_exception(NoAnswer("nobody is there", hint="look at the wiring"))
    return future


@pytest.fixture
def server() -> Iterator[HttpServer]:
    pending: list[tuple[Future[Document], Tell]] = []

    def long_work(_given: Document, tell: Tell) -> Future[Document]:
        pending.append((Future(), tell))
        tell({"percent": 10})
        return pending[-1][0]

    def interrupted() -> bool:
        pending[-1][0].set_result({"found": 1})
        return True

    def conflict(_given: Document, _tell: Tell) -> Future[Document]:
        future: Future[Document] = Future()
        future.set_exception(RequestError(409, "address_taken", "it is taken", field="new"))
        return future

    desk = Desk(SystemClock())
    desk.add("echo", lambda given, _tell: {"given": given}, "answers what it was given")
    desk.add("long", long_work, "takes long", cancel=interrupted)
    desk.add("fail", fail, "fails")
    desk.add("conflict", conflict, "conflicts")
    routes = [*CommandRoutes(desk, "admin").routes(), Route("GET", "/state", lambda _: json_response(200, STATE), "")]
    with serving(Router([*routes, index_route(routes, "1")]).answer) as server:
        yield server


def found(server: HttpServer, **options: Any) -> Remote:
    remote = Remote.find(config(server, **options))
    assert remote is not None
    return remote


def test_short_work_is_answered(server: HttpServer) -> None:
    assert found(server).run("echo", {"a": "ä"}) == {"given": {"a": "ä"}}


def test_an_interrupted_wait_stops_the_work(server: HttpServer) -> None:
    remote = found(server)

    def interrupt(progress: Document) -> None:
        assert progress == {"percent": 10}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remote.run("long", {}, interrupt)
    tasks = remote.ask("GET", "/v1/admin/commands", timeout_s=10)[1]["tasks"]
    assert [(task["command"], task["state"]) for task in tasks] == [("long", "cancelled")]


def test_an_interruption_stays_one_where_the_work_cannot_be_stopped(server: HttpServer) -> None:
    remote = found(server)

    def leave(_progress: Document) -> None:
        server.stop()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remote.run("long", {}, leave)


def test_work_that_fails_raises_what_went_wrong_with_its_advice(server: HttpServer) -> None:
    with pytest.raises(NoAnswer, match="nobody is there") as caught:
        found(server).run("fail", {})
    assert caught.value.hint == "look at the wiring"


@pytest.mark.parametrize(("command", "status"), [("fly", 404), ("conflict", 409)])
def test_a_refusal_keeps_its_status(server: HttpServer, command: str, status: int) -> None:
    with pytest.raises(RequestError) as caught:
        found(server).run(command, {})
    assert caught.value.status == status


def test_a_wrong_token_is_told_as_such(server: HttpServer) -> None:
    with pytest.raises(MbusgwError, match="does not let us administer it") as caught:
        found(server, token="wrong").run("echo", {})
    assert "http.admin_token" in caught.value.hint


@pytest.mark.parametrize("port", ["/dev/ttyUSB0", "/dev/ttyUSB7"])
def test_the_bus_on_a_port_is_known_under_both_of_its_names(server: HttpServer, port: str) -> None:
    assert found(server).bus_on(port) == "main"
    assert found(server).bus_on("/dev/ttyUSB3") is None


def test_a_gateway_that_goes_away_is_told(server: HttpServer) -> None:
    remote = found(server)
    server.stop()
    assert server.join(PATIENCE_S)
    with pytest.raises(MbusgwError, match="does not answer"):
        remote.run("echo", {})


@pytest.mark.parametrize("body", [b'{"name": "other"}', b"[]", b"<html>", b"\xff"])
def test_another_program_on_the_port_is_no_gateway(body: bytes) -> None:
    with serving(lambda _: Response(200, body)) as server:
        assert Remote.find(config(server)) is None


@pytest.mark.parametrize("signed", [False, True])
def test_a_gateway_that_speaks_https_is_asked_by_its_own_certificate(tmp_path: Path, signed: bool) -> None:
    issuer = issue("authority") if signed else None
    cert_file, key_file = write_certificate(tmp_path, "gateway.example", issuer=issuer)
    index = index_route([], "1")
    with serving(Router([index]).answer, certificate=Certificate(cert_file, key_file, SystemClock())) as one:
        text = f"http: {{listen: '127.0.0.1:{one.port}', tls_cert_file: {cert_file}, tls_key_file: {key_file}}}"
        remote = Remote.find(loads(text, {}))
        assert remote is not None and remote.get("/")["name"] == "mbusgw"
        write_certificate(tmp_path, "another")  # what is trusted now is not what the gateway shows
        assert Remote.find(loads(text, {})) is None
