"""A server that is just good enough for a test."""
from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import TypeVar

from tests.wait import PATIENCE_S

T = TypeVar("T", bound="Listener")


class Listener:
    """Listens on a free ``port`` of this machine for the length of a ``with`` block; each connection has a thread, in
    which ``serve`` is called. What is ``_open`` at the end is ended."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._open: list[socket.socket] = []

    def __enter__(self: T) -> T:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            end(one)
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def serve(self, connection: socket.socket) -> None:
        """One connection, to its end."""
        raise NotImplementedError

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self._begin(self.serve, connection)

    def _begin(self, work: Callable[..., None], *given: socket.socket) -> threading.Thread:
        thread = threading.Thread(target=work, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread


def end(connection: socket.socket) -> None:
    """Whoever reads from it, on either side, is at the end."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended already
