"""The TCP connection on which the broker is spoken with."""
from __future__ import annotations

import logging
import os
import socket
from contextlib import suppress
from typing import Protocol

log = logging.getLogger(__name__)

#: Linux: what is received is acknowledged to the other side's TCP at once. It holds for a while only (tcp(7)).
QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
#: Linux: what is written goes out in full packets, and the rest of it when this ends, after 200 ms at most (tcp(7)).
CORK: int | None = getattr(socket, "TCP_CORK", None)


class HasFile(Protocol):
    """A socket, also one within TLS or a websocket."""

    def fileno(self) -> int:
        """The number of its file."""


class Channel:
    """What TCP can do and neither TLS nor a websocket knows, for one connection after the other.

    ``opened``, ``closed``, ``hurry``, ``gather``, ``release``: one thread (paho's). ``open``, ``cut``: **any thread**
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._gathers = False

    def opened(self, connection: HasFile) -> None:
        """There is a new one."""
        self._gathers = False
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))

    def closed(self) -> None:
        """It is about to be closed."""
        ended, self._socket = self._socket, None
        if ended is not None:
            ended.close()

    @property
    def open(self) -> bool:
        """There is one."""
        return self._socket is not None

    def cut(self) -> None:
        """Ends it as the other side would, so that its reader learns of it."""
        if self._socket is None:
            return
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            log.debug("the connection has ended by itself: %s", error)

    def hurry(self) -> None:
        """Tells the other side's TCP at once that its last packet is here.

        What it has to say next it may keep back until it knows that (Nagle), and our system would take its time:
        40 ms for each reading. For each acknowledgement of the broker: once a burst would not do, for what was kept
        back comes as one packet, and what the broker says meanwhile waits for that one.
        """
        self._set(QUICKACK, 1)

    def gather(self) -> None:
        """What is written until ``release`` goes out together: a packet for each message would cost us, and the
        broker that is woken by it, more than the message. What came before is acknowledged with it."""
        if not self._gathers:
            self._gathers = True
            self._set(CORK, 1)

    def release(self) -> None:
        """All is written that was to go out together."""
        if self._gathers:
            self._gathers = False
            self._set(CORK, 0)

    def _set(self, option: int | None, value: int) -> None:
        if self._socket is not None and option is not None:
            with suppress(OSError):  # that it has ended is told elsewhere
                self._socket.setsockopt(socket.IPPROTO_TCP, option, value)
