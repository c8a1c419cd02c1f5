"""Just enough of a WebSocket client (RFC 6455) for text messages from and to a server on this machine."""
from __future__ import annotations

import base64
import os
import socket
from struct import pack, unpack

from tests.wait import PATIENCE_S

_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA


class WebSocket:
    """One connection. **own thread**"""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._file = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        status = self._file.readline()
        assert b" 101 " in status, status
        while self._file.readline().strip():
            pass

    def send(self, text: str) -> None:
        self._frame(_TEXT, text.encode())

    def receive(self) -> str:
        """The next text message; pings are answered."""
        whole = b""
        while True:
            first, second = self._file.read(2)
            length = second & 0x7F
            if length == 126:
                (length,) = unpack(">H", self._file.read(2))
            elif length == 127:
                (length,) = unpack(">Q", self._file.read(8))
            payload = self._file.read(length)
            opcode = first & 0x0F
            if opcode == _PING:
                self._frame(_PONG, payload)
            elif opcode == _CLOSE:
                raise ConnectionError("the server closed the connection")
            else:
                whole += payload
                if first & 0x80:
                    return whole.decode()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _frame(self, opcode: int, payload: bytes) -> None:
        mask = os.urandom(4)
        if len(payload) < 126:
            head = bytes((0x80 | opcode, 0x80 | len(payload)))
        elif len(payload) < 1 << 16:
            head = bytes((0x80 | opcode, 0x80 | 126)) + pack(">H", len(payload))
        else:
            head = bytes((0x80 | opcode, 0x80 | 127)) + pack(">Q", len(payload))
        masked = bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))
        self._socket.sendall(head + mask + masked)
