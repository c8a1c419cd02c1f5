"""Websockets in front of a broker that has none: each connection's bytes are handed on."""
from __future__ import annotations

import base64
import hashlib
import socket
import ssl
from typing import BinaryIO

from tests.fakes.listener import Listener, end
from tests.wait import PATIENCE_S

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE = 0x2, 0x8


class WebsocketProxy(Listener):
    """As a server (RFC 6455, frames are not longer than 64 KiB)."""

    def __init__(self, broker_port: int, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.protocols: list[str] = []
        self._broker_port = broker_port
        self._tls = tls

    def serve(self, connection: socket.socket) -> None:
        """Both ways, until one side ends it."""
        if self._tls is not None:
            try:
                connection = self._tls.wrap_socket(connection, server_side=True)
            except OSError:
                return  # the client does not trust us, or has gone
        with connection, socket.create_connection(("127.0.0.1", self._broker_port)) as broker:
            self._open += [connection, broker]
            self._greet(connection)
            back = self._begin(_down, connection, broker)
            _up(connection, broker)
            back.join(PATIENCE_S)

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


def _up(connection: socket.socket, broker: socket.socket) -> None:
    """To the broker."""
    with connection.makefile("rb") as stream:
        try:
            while (payload := _frame(stream)) is not None:
                broker.sendall(payload)
        except OSError:
            pass
    end(broker)


def _down(connection: socket.socket, broker: socket.socket) -> None:
    """From the broker."""
    try:
        while data := broker.recv(100):
            connection.sendall(bytes([0x80 | _BINARY, len(data)]) + data)
    except OSError:
        pass
    end(connection)


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
