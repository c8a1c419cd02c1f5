"""A stand-in for the Lobaro parser's web API: for tests, the demo, and people without a token.

It answers as the published examples do and misbehaves on demand (``BEHAVIOURS``).
"""
from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mbusgw.model.errors import DecodeError
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.worker import Worker, spawn
from mbusgw.simulator.lobaro_answer import mbus_answer, meter_data_answer
from mbusgw.wmbus.frame import parse_frame

_HUGE_BYTES = 10 << 20
_ENDPOINTS = {"/api/mbus": mbus_answer, "/api/meterData": meter_data_answer}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the next request gets instead of its answer. **immutable**

    ``status`` and ``body`` replace the answer; ``hang``: none comes until the client or the server gives
    up; ``drip``: the answer comes a byte at a time; ``cut``: it ends early; ``reset``: the connection is torn.
    """

    status: int = 200
    body: bytes | None = None
    content_type: str = "application/json"
    retry_after: str | None = None
    hang: bool = False
    drip: bool = False
    cut: bool = False
    reset: bool = False


#: Every way in which the service, or what stands before it, is known or feared to misbehave.
BEHAVIOURS: dict[str, Behaviour] = {
    "ok": Behaviour(),
    "unauthorized": Behaviour(401, b'{"error":"invalid token"}'),
    "forbidden": Behaviour(403, b'{"error":"parser api is not enabled"}'),
    "rate_limit": Behaviour(429, b"too many requests"),
    "rate_limit_seconds": Behaviour(429, b"too many requests", retry_after="2"),
    "rate_limit_minutes": Behaviour(429, b"too many requests", retry_after="300"),
    "rate_limit_date": Behaviour(429, b"too many requests", retry_after="Sun, 22 Nov 2026 12:05:00 GMT"),
    "bad_request": Behaviour(400, b"raw: odd length hex string"),
    "not_found": Behaviour(404, b"404 page not found", "text/plain"),
    "unprocessable": Behaviour(422, b'{"error":"no mapping matches this telegram"}'),
    "error": Behaviour(500, b"Internal Server Error"),
    "parse_error": Behaviour(500, b'{"error":"cannot parse telegram: unexpected end of frame"}'),
    "decrypt_error": Behaviour(500, b'{"error":"decryption failed"}'),
    "refused_in_html": Behaviour(400, b"<html><h1>400 Bad Request</h1></html>", "text/html"),
    "bad_gateway": Behaviour(502, b"<html><h1>502 Bad Gateway</h1></html>", "text/html"),
    "unavailable": Behaviour(503, b""),
    "gateway_timeout": Behaviour(504, b""),
    "redirect": Behaviour(302, b""),
    "null": Behaviour(200, b"null"),
    "empty": Behaviour(200, b""),
    "html": Behaviour(200, b"<!doctype html><title>Lobaro</title>", "text/html"),
    "list": Behaviour(200, b"[]"),
    "truncated": Behaviour(200, b'{"IdString":"12345678","Body":{"Da'),
    "nan": Behaviour(200, b'{"Value":NaN}'),
    "deep": Behaviour(200, b"[" * 100_000),
    "huge": Behaviour(200, b'"' + b"x" * _HUGE_BYTES + b'"'),
    "no_records": Behaviour(200, b'{"IdString":"12345678","Body":{"BodyParseError":"unknown CI","DataRecords":null}}'),
    "hang": Behaviour(hang=True),
    "drip": Behaviour(drip=True),
    "cut": Behaviour(cut=True),
    "reset": Behaviour(reset=True),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came in. **immutable**"""

    path: str
    token: str | None
    with_key: bool
    body: bytes


class StandInLobaro(Worker):
    """The stand-in server, on a port of its own choosing. **own thread**; ``behave`` and ``seen``: any thread

    ``token`` is the only one it takes; None takes any. ``keys``: the organisation's own, by meter number, used for
    requests without one. ``poison``: telegrams that get a behaviour of their own, whatever the others get. ``delay_s``
    goes before each answer; ``busiest`` is how many were asked at the same time at most.
    """

    def __init__(self, clock: Clock, *, host: str = "127.0.0.1", port: int = 0, token: str | None = None) -> None:
        super().__init__("sim-lobaro", clock)
        self.token = token
        self.seen: deque[Seen] = deque(maxlen=1000)
        self.keys: dict[str, bytes] = {}
        self.poison: dict[bytes, str] = {}
        self.delay_s = 0.0
        self.busiest = 0
        self._busy = 0
        self._lock = threading.Lock()
        self._host, self._port = host, port
        self._server: _Server | None = None
        self._ahead: deque[Behaviour] = deque()
        self._always = BEHAVIOURS["ok"]

    @property
    def url(self) -> str:
        """Where it listens; known once it was started."""
        return f"http://{self._host}:{self._port}"

    def behave(self, name: str, times: int | None = None) -> None:
        """The next ``times`` requests, or all from now on, get this behaviour (a key of ``BEHAVIOURS``)."""
        if times is None:
            self._ahead.clear()
            self._always = BEHAVIOURS[name]
        else:
            self._ahead.extend([BEHAVIOURS[name]] * times)

    def next_behaviour(self) -> Behaviour:
        """What the request that just came in gets."""
        try:
            return self._ahead.popleft()
        except IndexError:
            return self._always

    @contextmanager
    def asked(self) -> Iterator[None]:
        """One request is being answered."""
        with self._lock:
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1

    def start(self) -> None:
        """Binds the port, so that ``url`` is known, and starts."""
        self._bind()
        super().start()

    def setup(self) -> None:
        """Binds the port again after a crash."""
        self._bind()

    def step(self) -> None:
        """Takes at most one connection."""
        assert self._server is not None
        self._server.handle_request()

    def teardown(self) -> None:
        """Closes the port and waits for the connections."""
        if self._server is not None:
            self._server.server_close()
            self._server.join()
            self._server = None

    def _bind(self) -> None:
        if self._server is None:
            self._server = _Server((self._host, self._port), self)
            self._port = self._server.server_address[1]


class _Server(HTTPServer):
    """One thread per connection. **own thread**"""

    timeout = 0.1
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], stand_in: StandInLobaro) -> None:
        super().__init__(address, _Handler)
        self.stand_in = stand_in
        self._threads: list[threading.Thread] = []
        self._count = 0

    def process_request(self, request: Any, client_address: Any) -> None:
        self._count += 1
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = spawn(f"sim-lob-{self._count % 10000}", lambda: self._serve(request, client_address))
        self._threads.append(thread)

    def join(self) -> None:
        """Waits for the connections that are still served."""
        for thread in self._threads:
            thread.join(2)

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError:
            pass  # the client went away: what some behaviours are for
        finally:
            self.shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    """One request, then the connection is closed. **own thread**"""

    timeout = 5
    server: _Server

    def do_POST(self) -> None:
        stand_in = self.server.stand_in
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        stand_in.seen.append(Seen(parts.path, token, "key" in query, body))
        with stand_in.asked():
            if stand_in.delay_s:
                stand_in.wait(stand_in.delay_s)
            poison = {raw.hex(): name for raw, name in stand_in.poison.items()}.get(query.get("raw", [""])[0].lower())
            behaviour = BEHAVIOURS[poison] if poison else stand_in.next_behaviour()
            self._reply(behaviour, parts.path, query, token)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the request line holds keys."""

    def _reply(self, behaviour: Behaviour, path: str, query: dict[str, list[str]], token: str | None) -> None:
        stand_in = self.server.stand_in
        if behaviour.hang:
            while not stand_in.wait(0.1) and not _is_gone(self.connection):
                pass
        elif behaviour.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif behaviour.drip:
            self._head(200, "application/json", 1000)
            while not stand_in.wait(0.05) and not _is_gone(self.connection):
                self.wfile.write(b" ")
        elif behaviour.cut:
            self._head(200, "application/json", 1000)
            self.wfile.write(b'{"IdString":')
        elif behaviour is not BEHAVIOURS["ok"]:
            self._send(behaviour.status, behaviour.body or b"", behaviour.content_type, behaviour.retry_after)
        elif stand_in.token is not None and token != stand_in.token:
            self._send(401, b'{"error":"invalid token"}')
        else:
            self._send(*_answer(path, query, stand_in.keys))

    def _send(
        self, status: int, body: bytes, content_type: str = "application/json", retry_after: str | None = None
    ) -> None:
        self._head(status, content_type, len(body), retry_after)
        self.wfile.write(body)

    def _head(self, status: int, content_type: str, length: int, retry_after: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(length))
        if retry_after is not None:
            self.send_header("Retry-After", retry_after)
        if status == 302:
            self.send_header("Location", "https://login.example/")
        self.end_headers()


def _answer(path: str, query: dict[str, list[str]], keys: Mapping[str, bytes]) -> tuple[int, bytes]:
    """The answer to a well-behaved request; without a key the organisation's own is used."""
    endpoint = _ENDPOINTS.get(path)
    if endpoint is None:
        return 404, b"404 page not found"
    try:
        raw = bytes.fromhex(query.get("raw", [""])[0])
        key = bytes.fromhex(query["key"][0]) if "key" in query else None
    except ValueError:
        return 400, b"raw or key: no hex string"
    try:
        key = key or keys.get(parse_frame(raw).id)
        return 200, exactjson.dumps(endpoint(raw, key)).encode()
    except DecodeError as error:
        words = "decryption failed" if type(error).__name__.startswith("Key") else str(error)
        return 422, exactjson.dumps({"error": words}).encode()


def _is_gone(connection: socket.socket) -> bool:
    """Whether the client closed the connection."""
    try:
        connection.settimeout(0.001)
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True
