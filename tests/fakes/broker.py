"""A broker that behaves badly on purpose: just enough of MQTT 5 and 3.1.1 for one publisher."""
from __future__ import annotations

import socket
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from tests.fakes.listener import Listener, end

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14


class Taken(NamedTuple):
    """A PUBLISH that arrived on a connection (counted from 1)."""

    connection: int
    topic: str
    payload: str
    again: bool


class Close(Exception):
    """What an answer raises to end the connection, with a DISCONNECT if ``reason`` is not None."""

    def __init__(self, reason: int | None = None) -> None:
        self.reason = reason


def accept(_taken: Taken) -> int | None:
    """Everything is well."""
    return 0


class BadBroker(Listener):
    """``answer(taken)`` is the reason code of the PUBACK, or None for none at all;
    it may raise ``Close``. ``properties``: of the CONNACK, as on the wire."""

    def __init__(self, answer: Callable[[Taken], int | None] = accept, *, properties: bytes = b"") -> None:
        super().__init__()
        self.taken: list[Taken] = []
        self.connections = 0
        self.answer = answer
        self.answers_subscriptions = True
        self._properties = properties

    def payloads(self) -> list[str]:
        return [one.payload for one in self.taken]

    def disconnect(self, reason: int) -> None:
        """Ends the newest connection, and says why (MQTT 5)."""
        _end(self._open[-1], reason)

    def serve(self, connection: socket.socket) -> None:
        """A client, until one of both ends it."""
        with connection, connection.makefile("rb") as stream:
            version = 5
            try:
                while (kind := (head := _exactly(stream, 1))[0] >> 4) != DISCONNECT:
                    body = _exactly(stream, _length(stream))
                    if kind == CONNECT:
                        version = body[6]
                        self.connections += 1
                        number = self.connections
                        rest = bytes([len(self._properties)]) + self._properties if version == 5 else b""
                        _send(connection, CONNACK, b"\0\0" + rest)
                    elif kind == SUBSCRIBE and self.answers_subscriptions:
                        # Of up to a few filters; the client asks for QoS 1.
                        head_bytes = body[:2] + (b"\0" if version == 5 else b"")
                        _send(connection, SUBACK, head_bytes + b"\1" * _filters(body, version))
                    elif kind == PINGREQ:
                        _send(connection, PINGRESP, b"")
                    elif kind == PUBLISH:
                        self._take(connection, head[0], body, number, version)
            except Close as close:
                _end(connection, close.reason)
            except (OSError, EOFError):
                return  # the client has ended it, perhaps in the middle of a packet

    def _take(self, connection: socket.socket, flags: int, body: bytes, number: int, version: int) -> None:
        at = 2 + int.from_bytes(body[:2], "big")
        topic, quality = body[2:at].decode(), flags >> 1 & 3
        mid, payload = (body[at : at + 2], body[at + 2 :]) if quality else (b"", body[at:])
        if version == 5:
            payload = payload[1 + payload[0] :]
        taken = Taken(number, topic, payload.decode(), bool(flags & 8))
        self.taken.append(taken)
        reason = self.answer(taken)
        if reason is not None and quality:
            _send(connection, PUBACK, mid + (bytes([reason]) if reason and version == 5 else b""))


def _end(connection: socket.socket, reason: int | None) -> None:
    if reason is not None:
        try:
            _send(connection, DISCONNECT, bytes([reason]))
        except OSError:
            return
    end(connection)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _length(stream: BinaryIO) -> int:
    value, shift = 0, 0
    while True:
        byte = _exactly(stream, 1)[0]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value


def _filters(body: bytes, version: int) -> int:
    at = 2 + (1 + body[2] if version == 5 else 0)
    count = 0
    while at < len(body):
        at += 3 + int.from_bytes(body[at : at + 2], "big")
        count += 1
    return count


def _send(connection: socket.socket, kind: int, body: bytes) -> None:
    connection.sendall(bytes([kind << 4, len(body)]) + body)
