"""A server on a free port and a client that speaks raw bytes, for the tests of this folder."""
from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import SystemClock
from mbusgw.web.conversations import Timing
from mbusgw.web.server import Answer, HttpServer
from tests.fakes.workers import started
from tests.wait import PATIENCE_S

#: Nobody is let go because the machine is busy.
PATIENT = Timing(
    request_s=PATIENCE_S, idle_s=PATIENCE_S, output_s=PATIENCE_S, linger_s=2, queue_s=PATIENCE_S, drain_s=PATIENCE_S
)


@contextmanager
def serving(answer: Answer, **options: Any) -> Iterator[HttpServer]:
    """A running server, stopped at the end."""
    server = HttpServer("127.0.0.1", 0, answer, **{"workers": 4, "clock": SystemClock(), "timing": PATIENT, **options})
    with started(server):
        yield server


class Answered:
    """One answer as read from the wire."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.body = body

    @property
    def json(self) -> Any:
        return exactjson.loads(self.body)


class Client:
    """One connection. ``send`` bytes, ``answer`` reads one answer, ``rest`` what comes until the end."""

    def __init__(self, port: int, *, timeout: float = 10, receive_buffer: int | None = None) -> None:
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        self.sock.connect(("127.0.0.1", port))
        self._buffer = b""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> "Client":
        self.sock.sendall(data)
        return self

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answered:
        self.send(request_bytes(method, path, body, **headers))
        return self.answer(head_only=method == "HEAD")

    def answer(self, *, head_only: bool = False) -> Answered:
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        answered = Answered(head, b"")
        length = 0 if head_only else int(answered.headers.get("content-length", "0"))
        while len(self._buffer) < length:
            self._more()
        answered.body, self._buffer = self._buffer[:length], self._buffer[length:]
        return answered

    def rest(self) -> bytes:
        """Everything until the server ends the connection."""
        while True:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return self._buffer
            self._buffer += data

    def _more(self) -> None:
        data = self.sock.recv(65536)
        assert data, f"the server ended the connection after {self._buffer!r}"
        self._buffer += data


def request_bytes(method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: test"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")
