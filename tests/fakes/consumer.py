"""A web server that takes what is posted to it and answers as it is told."""
from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.wait import PATIENCE_S


@dataclass(frozen=True)
class Taken:
    """A request that arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer; status 0 hangs up without one."""

    status: int = 204
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Consumer:
    """Listens between ``__enter__`` and ``__exit__``. ``answer`` may be changed at any time, and may block until
    ``released`` is set. With ``port`` at that one."""

    def __init__(self, answer: Callable[[Taken], Reply] = lambda _taken: Reply(), *, port: int = 0) -> None:
        self.answer = answer
        self.taken: list[Taken] = []
        self.released = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.consumer = self
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Consumer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join(PATIENCE_S)

    def bodies(self) -> list[str]:
        return [one.body.decode() for one in list(self.taken)]


class _Server(ThreadingHTTPServer):
    consumer: Consumer
    daemon_threads = False  # then server_close() waits for them

    def close_connections(self) -> None:
        for handler in list(_Handler.open):
            if handler.server is self:
                handler.hang_up()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    open: set[_Handler] = set()
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.open.add(self)

    def finish(self) -> None:
        self.open.discard(self)
        super().finish()

    def hang_up(self) -> None:
        try:
            self.connection.shutdown(2)
        except OSError:
            pass  # it has ended already
        self.close_connection = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        taken = Taken(self.path, dict(self.headers.items()), body)
        self.server.consumer.taken.append(taken)
        reply = self.server.consumer.answer(taken)
        if not reply.status:
            self.hang_up()
            return
        try:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status != 204:
                self.send_header("Content-Length", str(len(reply.body.encode())))
            self.end_headers()
            if reply.status != 204:
                self.wfile.write(reply.body.encode())
        except OSError:
            self.close_connection = True  # whoever asked has gone

    def log_message(self, *_: object) -> None:
        """Nothing."""
