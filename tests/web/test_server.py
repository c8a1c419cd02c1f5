"""The server over real sockets."""
from __future__ import annotations

import http.client
import logging
import socket
import struct
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from mbusgw.model.errors import MbusgwError
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.stalls import stack_of
from mbusgw.web.conversations import Timing
from mbusgw.web.framing import Limits
from mbusgw.web.message import Request, Response, json_response
from mbusgw.web.server import HttpServer
from tests.fakes.clock import FakeClock
from tests.wait import PATIENCE_S, wait_until
from tests.web.client import Client, request_bytes, serving

QUICK = Timing(request_s=0.3, idle_s=30, output_s=0.5, linger_s=0.3, queue_s=5, drain_s=3)


def echo(request: Request) -> Response:
    return json_response(200, {"path": request.path, "length": len(request.body)})


@dataclass
class Gate:
    """An answer that waits until it is opened."""

    opened: threading.Event
    waiting: threading.Semaphore

    @classmethod
    def shut(cls) -> "Gate":
        return cls(threading.Event(), threading.Semaphore(0))

    def answer(self, request: Request) -> Response:
        if request.path == "/wait":
            self.waiting.release()
            assert self.opened.wait(PATIENCE_S)
        return echo(request)


def test_many_requests_go_over_one_connection() -> None:
    with serving(echo) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        for number in range(50):
            connection.request("POST", f"/{number}", body=b"x" * number)
            answer = connection.getresponse()
            assert answer.status == 200
            assert answer.read() == b'{"path":"/%d","length":%d}' % (number, number)
        assert server.connections == 1
        connection.close()


def test_an_answer_carries_date_length_and_connection() -> None:
    with serving(echo) as server, Client(server.port) as client:
        answer = client.request("GET", "/")
        assert answer.headers["date"].endswith("GMT")
        assert answer.headers["content-length"] == str(len(answer.body))
        assert answer.headers["connection"] == "keep-alive"
        assert client.request("GET", "/", Connection="close").headers["connection"] == "close"
        assert client.rest() == b""


def test_head_has_the_length_but_no_body() -> None:
    with serving(echo) as server, Client(server.port) as client:
        answer = client.request("HEAD", "/abc")
        assert (answer.status, answer.headers["content-length"]) == (200, "26")
        assert client.request("GET", "/abc").json["path"] == "/abc"


def test_pipelined_requests_are_answered_in_order() -> None:
    with serving(echo) as server, Client(server.port) as client:
        client.send(b"".join(request_bytes("POST", f"/{number}", b"x" * number) for number in range(100)))
        assert [client.answer().json["path"] for _ in range(100)] == [f"/{number}" for number in range(100)]


def test_a_request_that_comes_byte_by_byte_is_answered() -> None:
    with serving(echo) as server, Client(server.port) as client:
        for byte in request_bytes("POST", "/slow", b"abc"):
            client.send(bytes([byte]))
        assert client.answer().json == {"path": "/slow", "length": 3}


def test_a_half_closed_client_still_gets_its_answers_and_then_the_end() -> None:
    with serving(echo) as server, Client(server.port) as client:
        client.send(request_bytes("GET", "/1") + request_bytes("GET", "/2"))
        client.sock.shutdown(socket.SHUT_WR)
        assert [client.answer().json["path"] for _ in range(2)] == ["/1", "/2"]
        assert client.rest() == b""
        wait_until(lambda: server.connections == 0)


def test_a_client_that_half_closes_in_the_middle_of_a_request_is_let_go() -> None:
    with serving(echo) as server, Client(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nContent-Le").sock.shutdown(socket.SHUT_WR)
        assert client.rest() == b""
        wait_until(lambda: server.connections == 0)


def test_a_client_that_resets_the_connection_harms_nobody() -> None:
    gate = Gate.shut()
    with serving(gate.answer) as server:
        client = Client(server.port).send(request_bytes("GET", "/wait"))
        assert gate.waiting.acquire(timeout=PATIENCE_S)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()
        gate.opened.set()
        with Client(server.port) as other:
            assert other.request("GET", "/").status == 200
        wait_until(lambda: server.connections == 0)


def test_300_silent_connections_do_not_starve_a_post() -> None:
    with serving(echo, workers=2) as server:
        silent = [Client(server.port) for _ in range(300)]
        wait_until(lambda: server.connections == 300)
        with Client(server.port) as client:
            assert client.request("POST", "/", b"x").status == 200
        for one in silent:
            one.sock.close()
        wait_until(lambda: server.connections == 0)


def test_a_hundred_half_sent_requests_do_not_starve_a_post() -> None:
    with serving(echo, workers=2) as server:
        slow = [Client(server.port).send(b"POST / HTTP/1.1\r\n") for _ in range(100)]
        with Client(server.port) as client:
            assert client.request("POST", "/", b"x").status == 200
        for one in slow:
            one.sock.close()


def test_a_slow_client_gets_408_and_the_end() -> None:
    with serving(echo, timing=QUICK) as server, Client(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\n")
        answer = client.answer()
        assert (answer.status, answer.json["error"]) == (408, "request_timeout")
        assert answer.headers["connection"] == "close"
        assert client.rest() == b""
        wait_until(lambda: server.connections == 0)


def test_sending_a_byte_now_and_then_does_not_prolong_the_limit() -> None:
    with serving(echo, timing=QUICK) as server, Client(server.port) as client:
        client.sock.settimeout(0.05)

        def answered() -> bytes:
            client.send(b"X")
            try:
                return client.sock.recv(100)
            except TimeoutError:
                return b""

        assert wait_until(answered).startswith(b"HTTP/1.1 408 ")


def test_the_time_limit_counts_each_request_not_the_connection() -> None:
    with serving(echo, timing=QUICK) as server, Client(server.port) as client:
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            assert client.request("GET", "/").status == 200


def test_an_idle_connection_is_closed_after_its_time() -> None:
    clock = FakeClock()
    with serving(echo, timing=Timing(idle_s=30), clock=clock) as server, Client(server.port) as client:
        assert client.request("GET", "/").status == 200
        clock.advance(29)
        assert client.request("GET", "/").status == 200
        client.sock.settimeout(0.1)

        def closed() -> bool:
            clock.advance(30)
            try:
                return client.sock.recv(1) == b""
            except TimeoutError:
                return False

        wait_until(closed)


def test_a_request_without_a_length_has_no_body() -> None:
    with serving(echo) as server, Client(server.port) as client:
        assert client.send(b"POST /x HTTP/1.1\r\nHost: x\r\n\r\n").answer().json == {"path": "/x", "length": 0}
        assert client.request("GET", "/y").json == {"path": "/y", "length": 0}


def test_a_client_that_waits_for_100_continue_gets_it() -> None:
    with serving(echo) as server, Client(server.port) as client:
        client.send(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert client.answer().status == 100
        assert client.send(b"abc").answer().json == {"path": "/x", "length": 3}


@pytest.mark.parametrize(
    "data, status",
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
    ],
)
def test_what_cannot_be_read_is_answered_as_json_and_closed(data: bytes, status: int) -> None:
    with serving(echo) as server, Client(server.port) as client:
        answer = client.send(data).answer()
        assert answer.status == status
        assert set(answer.json) >= {"error", "message"}
        assert client.rest() == b""


def test_an_oversize_body_gets_413_even_while_it_is_still_being_sent() -> None:
    with serving(echo) as server, Client(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n")
        try:
            client.send(b"x" * 20_000_000)
        except OSError:
            pass  # the server need not take all of it
        answer = client.answer()
        assert (answer.status, answer.json["error"]) == (413, "too_large")


def test_an_oversize_chunked_body_gets_413() -> None:
    with serving(echo) as server, Client(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):
            client.send(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        assert client.answer().status == 413


def test_a_body_of_just_the_limit_is_taken() -> None:
    with serving(echo, limits=Limits(body_bytes=1000)) as server, Client(server.port) as client:
        assert client.request("POST", "/", b"x" * 1000).status == 200
        assert client.request("POST", "/", b"x" * 1001).status == 413


def test_when_all_places_are_taken_the_longest_silent_client_makes_room() -> None:
    with serving(echo, max_connections=3) as server:
        clients = [Client(server.port) for _ in range(3)]
        for number, client in enumerate(clients):
            assert client.request("GET", f"/{number}").status == 200
        conversations = server._conversations
        assert conversations is not None
        # An answer may arrive before its handler has let go of the connection, which is not silent until then.
        wait_until(lambda: not conversations.in_hand())
        with Client(server.port) as newcomer:
            assert newcomer.request("GET", "/").status == 200
            assert clients[0].rest() == b""
            assert clients[1].request("GET", "/").status == 200
        for client in clients:
            client.sock.close()


def test_when_all_places_are_busy_a_newcomer_gets_503(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate.shut()
    with serving(gate.answer, max_connections=2) as server:
        busy = [Client(server.port).send(request_bytes("GET", "/wait")) for _ in range(2)]
        for _ in busy:
            assert gate.waiting.acquire(timeout=PATIENCE_S)
        with Client(server.port) as newcomer:
            answer = newcomer.answer()
            assert (answer.status, answer.json["error"]) == (503, "too_many_connections")
            assert int(answer.headers["retry-after"]) > 0
        assert "all 2 places taken" in caplog.text
        gate.opened.set()
        assert [client.answer().status for client in busy] == [200, 200]
        for client in busy:
            client.sock.close()


def test_a_request_that_waited_too_long_for_a_handler_gets_503() -> None:
    gate = Gate.shut()
    clock = FakeClock()
    with serving(gate.answer, workers=1, timing=Timing(queue_s=5), clock=clock) as server:
        with Client(server.port) as first, Client(server.port) as second:
            first.send(request_bytes("GET", "/wait"))
            assert gate.waiting.acquire(timeout=PATIENCE_S)
            second.send(request_bytes("GET", "/"))
            wait_until(lambda: server.waiting == 1)
            clock.advance(5.1)
            gate.opened.set()
            assert first.answer().status == 200
            answer = second.answer()
            assert (answer.status, answer.json["error"]) == (503, "busy")


def test_a_large_answer_reaches_a_slow_reader_without_holding_a_handler() -> None:
    large = b"x" * 3_000_000

    def answer(request: Request) -> Response:
        return Response(200, large if request.path == "/large" else b"small")

    with serving(answer, workers=1) as server:
        with Client(server.port, receive_buffer=4096) as slow, Client(server.port) as other:
            slow.send(request_bytes("GET", "/large") + request_bytes("GET", "/after"))
            assert other.request("GET", "/").body == b"small"
            assert slow.answer().body == large
            assert slow.answer().body == b"small"


def test_a_client_that_never_fetches_its_answer_is_let_go() -> None:
    asked = threading.Event()

    def answer(_: Request) -> Response:
        asked.set()
        return Response(200, b"x" * 8_000_000)

    with serving(answer, timing=QUICK) as server:
        with Client(server.port, receive_buffer=4096) as slow:
            slow.send(request_bytes("GET", "/"))
            assert asked.wait(PATIENCE_S)
            wait_until(lambda: server.connections == 0)


def test_a_flood_on_one_connection_is_held_back_and_all_answered() -> None:
    gate = Gate.shut()
    count = 400
    with serving(gate.answer) as server, Client(server.port) as client:
        client.send(request_bytes("GET", "/wait"))
        assert gate.waiting.acquire(timeout=PATIENCE_S)
        flood = b"".join(request_bytes("POST", "/", b"x" * 900) for _ in range(count))
        sender = threading.Thread(target=client.send, args=(flood,))
        sender.start()
        gate.opened.set()
        assert [client.answer().status for _ in range(count + 1)] == [200] * (count + 1)
        sender.join()


def test_an_unexpected_error_is_a_500_with_a_trace_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def broken(request: Request) -> Response:
        if request.path == "/bad":
            raise ZeroDivisionError("oops")
        return echo(request)

    with serving(broken) as server, Client(server.port) as client:
        with caplog.at_level(logging.ERROR):
            answer = client.request("GET", "/bad")
        assert (answer.status, answer.json["error"]) == (500, "internal_error")
        assert "oops" not in answer.body.decode()
        assert "ZeroDivisionError: oops" in caplog.text
        assert client.request("GET", "/good").status == 200


def test_a_stop_finishes_what_is_in_hand_and_refuses_what_is_new() -> None:
    gate = Gate.shut()
    with serving(gate.answer) as server:
        with Client(server.port) as running, Client(server.port) as idle:
            assert idle.request("GET", "/").status == 200
            running.send(request_bytes("GET", "/wait") + request_bytes("GET", "/after"))
            assert gate.waiting.acquire(timeout=PATIENCE_S)
            server.stop()
            wait_until(lambda: not _accepts(server.port))
            answer = idle.request("GET", "/")
            assert (answer.status, answer.json["error"]) == (503, "stopping")
            gate.opened.set()
            answer = running.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert server.join(PATIENCE_S)
    assert all(not worker.alive for worker in server.workers)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_stop_with_silent_clients_is_quick() -> None:
    with serving(echo) as server:
        silent = [Client(server.port) for _ in range(20)]
        wait_until(lambda: server.connections == 20)
        server.stop()
        assert server.join(PATIENCE_S)
        for client in silent:
            assert client.rest() == b""
            client.sock.close()


def test_a_stop_does_not_wait_for_a_hanging_request_beyond_its_budget() -> None:
    gate = Gate.shut()
    server = HttpServer("127.0.0.1", 0, gate.answer, clock=SystemClock(), workers=1, timing=Timing(drain_s=0.1))
    server.start()
    with Client(server.port) as client:
        client.send(request_bytes("GET", "/wait"))
        assert gate.waiting.acquire(timeout=PATIENCE_S)
        server.stop()
        wait_until(lambda: "assert self.opened.wait" in stack_of(server.thread_id))
        assert server.join(0.5) is False
        gate.opened.set()
        assert server.join(PATIENCE_S)
    assert server.thread_id is None


def test_a_port_in_use_is_said_with_advice() -> None:
    with serving(echo) as server:
        second = HttpServer("127.0.0.1", server.port, echo, clock=SystemClock())
        with pytest.raises(MbusgwError) as caught:
            second.start()
        assert f"cannot listen on 127.0.0.1:{server.port}" in str(caught.value)
        assert "http.listen" in caught.value.hint
        second.stop()
        assert second.join(PATIENCE_S)


def test_an_address_that_is_not_ours_is_said_with_advice() -> None:
    with pytest.raises(MbusgwError, match="cannot listen on 192.0.2.1:8080"):
        HttpServer("192.0.2.1", 8080, echo, clock=SystemClock()).start()


def test_the_port_is_free_again_after_the_stop() -> None:
    with serving(echo) as server:
        port = server.port
        with Client(port) as client:
            assert client.request("GET", "/").status == 200
            server.stop()
            assert server.join(PATIENCE_S)
    again = HttpServer("127.0.0.1", port, echo, clock=SystemClock(), workers=1)
    again.start()
    again.stop()
    assert again.join(PATIENCE_S)


def test_it_listens_on_ipv6_and_names_ipv4_clients_plainly() -> None:
    peers: list[str] = []

    def note(request: Request) -> Response:
        peers.append(request.peer)
        return Response(204)

    server = HttpServer("::", 0, note, clock=SystemClock(), workers=1)
    server.start()
    with Client(server.port) as client:
        assert client.request("GET", "/").status == 204
    server.stop()
    assert server.join(PATIENCE_S)
    assert peers == ["127.0.0.1"]


def test_a_hundred_clients_at_once_are_all_answered() -> None:
    def talk(port: int) -> int:
        with Client(port) as client:
            return sum(client.request("POST", "/", b"x").status == 200 for _ in range(20))

    with serving(echo) as server, ThreadPoolExecutor(100) as pool:
        assert sum(pool.map(talk, [server.port] * 100)) == 2000


def test_after_a_crash_of_the_reading_thread_clients_only_have_to_come_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stumbling:
        def takes(self, request: Request) -> bool:
            if request.path == "/stumble":
                raise ZeroDivisionError("oops")
            return False

        def answer_together(self, requests: Sequence[Request]) -> Sequence[Response]:
            return [echo(request) for request in requests]

    with serving(echo, together=Stumbling()) as server:
        with Client(server.port) as bystander, Client(server.port) as client:
            assert bystander.request("GET", "/").status == 200
            client.send(request_bytes("GET", "/stumble"))
            assert bystander.rest() == b""
            assert client.rest() == b""
        with Client(server.port) as again:
            assert again.request("GET", "/").status == 200
        assert "ZeroDivisionError: oops" in caplog.text
        assert server.workers[0].crashes == 1


def test_every_thread_has_a_short_name_and_a_heartbeat() -> None:
    with serving(echo, workers=3) as server:
        assert [worker.name for worker in server.workers] == ["http", "http_1", "http_2", "http_3"]
        assert not any(worker.heartbeat.stalled for worker in server.workers)


def test_a_request_for_which_there_is_no_room_in_the_queue_is_told_to_come_back() -> None:
    server = HttpServer("127.0.0.1", 0, lambda request: Response(200), clock=SystemClock())
    server._single.close()  # as if it were full
    server.start()
    try:
        with Client(server.port) as client:
            answer = client.send(request_bytes("GET", "/")).answer()
        assert (answer.status, answer.json["error"]) == (503, "busy")
    finally:
        server.stop()
        assert server.join(PATIENCE_S)
