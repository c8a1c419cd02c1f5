"""What a simulated segment hangs on: a pseudo terminal, or a TCP port like a serial-over-TCP converter's."""
from __future__ import annotations

import os
import select
import socket
import termios
import tty
from abc import ABC, abstractmethod
from pathlib import Path

READ_BYTES = 4096

#: Speeds as a terminal knows them. The lowest one stands for "nobody has set any": a pty begins with 38400.
_BAUDRATES = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
_SPEEDS = {getattr(termios, f"B{baudrate}"): baudrate for baudrate in _BAUDRATES}
_NO_SPEED = termios.B50
_ISPEED, _OSPEED = 4, 5


class SimulatedLine(ABC):
    """The near end of a line. ``open``, ``close``, ``wait``, ``read``, ``write``: **own thread** of its segment"""

    @property
    @abstractmethod
    def port(self) -> str:
        """What to put into ``port:`` of a configuration."""

    @property
    @abstractmethod
    def connected(self) -> bool:
        """The line is there."""

    @property
    def baudrate(self) -> int | None:
        """At what speed its far end talks; None where that cannot be told."""
        return None

    @abstractmethod
    def open(self) -> None:
        """Makes the line. Raises ``OSError``."""

    @abstractmethod
    def close(self) -> None:
        """Takes the line away: who has it open sees it gone."""

    @abstractmethod
    def read(self, timeout_s: float) -> bytes:
        """What has come in, as soon as anything is there; ``b""`` after the timeout."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Sends; what nobody takes is lost, as on a wire."""


class PtyLine(SimulatedLine):
    """A pseudo terminal, reached by ``link`` (a symbolic link that stays the same when it is plugged in again)."""

    def __init__(self, link: Path | None = None) -> None:
        self._link = link
        self._master = self._slave = -1
        self._path = ""
        self._up = False

    @property
    def port(self) -> str:
        return str(self._link or self._path)

    @property
    def connected(self) -> bool:
        return self._up

    @property
    def baudrate(self) -> int | None:
        return _SPEEDS.get(termios.tcgetattr(self._master)[_OSPEED]) if self._up else None

    def open(self) -> None:
        self._master, self._slave = os.openpty()  # our own far end keeps the line up while nobody has it open
        tty.setraw(self._slave)
        settings = termios.tcgetattr(self._slave)
        settings[_ISPEED] = settings[_OSPEED] = _NO_SPEED
        termios.tcsetattr(self._slave, termios.TCSANOW, settings)
        os.set_blocking(self._master, False)
        self._path = os.ttyname(self._slave)
        if self._link is not None:
            try:
                _take_away(self._link)
                self._link.symlink_to(self._path)
            except OSError:
                self._close_both()
                raise
        self._up = True  # not before the port can be opened by its name

    def close(self) -> None:
        if not self._up:
            return
        if self._link is not None:
            _take_away(self._link)
        self._close_both()
        self._up = False

    def _close_both(self) -> None:
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1

    def read(self, timeout_s: float) -> bytes:
        ready, _, _ = select.select([self._master], [], [], max(0.0, timeout_s))
        return os.read(self._master, READ_BYTES) if ready else b""

    def write(self, data: bytes) -> None:
        try:
            os.write(self._master, data)
        except BlockingIOError:
            pass  # nobody has read for 4 kB


class TcpLine(SimulatedLine):
    """A listening port that serves one connection at a time. Port 0 chooses a free one."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._address = (host, port)
        self._listener: socket.socket | None = None
        self._client: socket.socket | None = None

    @property
    def port(self) -> str:
        return f"socket://{self._address[0]}:{self._address[1]}"

    @property
    def connected(self) -> bool:
        return self._listener is not None

    def open(self) -> None:
        self._listener = socket.create_server(self._address)
        self._listener.setblocking(False)
        self._address = (self._address[0], self._listener.getsockname()[1])

    def close(self) -> None:
        self.drop()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def drop(self) -> None:
        """Ends the connection, as a converter does that restarts."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def read(self, timeout_s: float) -> bytes:
        heard = self._client or self._listener
        if heard is None or not select.select([heard], [], [], max(0.0, timeout_s))[0]:
            return b""
        try:
            if self._client is not None:
                return self._receive(self._client)
            self._client, _ = heard.accept()
            self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:  # it went while we looked
            self.drop()
        return b""

    def write(self, data: bytes) -> None:
        try:
            if self._client is not None:
                self._client.sendall(data)
        except OSError:
            self.drop()

    def _receive(self, client: socket.socket) -> bytes:
        data = client.recv(READ_BYTES)
        if not data:
            self.drop()
        return data


def _take_away(link: Path) -> None:
    """Removes a link of ours; a real file in its place is left, and the next step fails on it."""
    if link.is_symlink():
        link.unlink()
