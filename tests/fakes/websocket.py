"""Websockets in front of a broker that has none: each connection's bytes are handed on."""
from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import threading
from typing import BinaryIO

from tests.wait import PATIENCE_S

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE = 0x2, 0x8


class WebsocketProxy:
    """Listens for the length of a ``with`` block (RFC 6455, as a server; frames are not longer than 64 KiB)."""

    def __init__(self, broker_port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.protocols: list[str] = []
        self._broker_port = broker_port
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._listen)]
        self._open: list[socket.socket] = []

    def __enter__(self) -> WebsocketProxy:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            _end(one)
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _listen(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
            except OSError:
                return
            broker = socket.create_connection(("127.0.0.1", self._broker_port))
            self._open += [connection, broker]
            for work in (self._up, self._down):
                self._threads.append(threading.Thread(target=work, args=(connection, broker)))
            self._greet(connection)
            for thread in self._threads[-2:]:
                thread.start()

    def _greet(self, connection: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line)
        named = {name.lower(): value for name, value in fields.items()}
        self.protocols.append(named["sec-websocket-protocol"])
        accept = base64.b64encode(hashlib.sha1((named["sec-websocket-key"] + _MAGIC).encode()).digest()).decode()
        connection.sendall(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
        )

    def _up(self, connection: socket.socket, broker: socket.socket) -> None:
        """To the broker."""
        with connection.makefile("rb") as stream:
            try:
                while (payload := _frame(stream)) is not None:
                    broker.sendall(payload)
            except OSError:
                pass
        _end(broker)

    def _down(self, connection: socket.socket, broker: socket.socket) -> None:
        """From the broker."""
        try:
            while data := broker.recv(100):
                connection.sendall(bytes([0x80 | _BINARY, len(data)]) + data)
        except OSError:
            pass
        _end(connection)


def _frame(stream: BinaryIO) -> bytes | None:
    """The payload of the next frame from a client; None at the end."""
    head = stream.read(2)
    if len(head) < 2 or head[0] & 0xF == _CLOSE:
        return None
    length = head[1] & 0x7F
    if length >= 126:
        length = int.from_bytes(stream.read(2 if length == 126 else 8), "big")
    mask = stream.read(4)
    payload = stream.read(length)
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


def _end(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    one.close()
