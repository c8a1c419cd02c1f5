"""One client's connection: what came, what is being answered, what is still to be sent."""
from __future__ import annotations

import socket
import threading

from mbusgw.model.errors import RequestError
from mbusgw.web.framing import Framing, Limits
from mbusgw.web.message import Request
from mbusgw.web.tls import Stream


class Connection:
    """A non-blocking stream and where its conversation stands.

    The thread ``http`` reads, registers and closes; a handler only sends, while it has the connection's
    request in hand (``busy``). A busy socket is never closed under its handler, because the file's number
    might be another client's a moment later: it is marked ``gone`` and closed by ``release``.
    ``lock`` guards ``framing``, ``busy``, ``gone``, ``muted`` and ``began_mono``.
    ``send``, ``release``: ``http``, or the handler while busy. The rest: ``http``.
    """

    __slots__ = (
        "sock", "framing", "lock", "busy", "muted", "ended", "began_mono", "idle_mono",
        "output", "output_mono", "linger_mono", "close_after", "broken", "gone", "continued",
    )  # fmt: skip

    def __init__(self, sock: Stream, peer: str, limits: Limits, now_mono: float) -> None:
        self.sock = sock
        self.framing = Framing(limits, peer)
        self.lock = threading.Lock()
        self.busy = False  # a request is queued or being answered
        self.muted = False  # not read from: too much has come already, or the client has ended
        self.ended = False  # the client has shut its side
        self.began_mono: float | None = None  # when the request began that is not complete yet
        self.idle_mono = now_mono  # when it last did something
        self.output = b""  # what the socket would not take yet
        self.output_mono: float | None = None
        self.linger_mono: float | None = None  # we have shut our side and wait for the client to do so
        self.close_after = False  # nothing follows the answer
        self.broken = False  # nothing can be sent any more
        self.gone = False  # dropped by http
        self.continued = False  # 100 Continue is sent

    def next_request(self, now_mono: float) -> Request | RequestError | None:
        """The next complete request, which makes the connection busy, or why what came is none; under ``lock``."""
        try:
            request = self.framing.take()
        except RequestError as error:
            return error
        self.busy = request is not None
        if request is not None:
            self.began_mono = None
            self.continued = False
        elif not self.framing.begun:
            self.began_mono = None
        elif self.began_mono is None:
            self.began_mono = now_mono
        return request

    def send(self, data: bytes, *, close: bool, now_mono: float) -> bool:
        """Sends without waiting; True when all is gone. What the socket does not take is kept in ``output``.

        With ``close`` our side is shut behind the last byte: the client gets all of it before the end,
        which a plain close may cut off while the client still sends.
        """
        self.close_after = self.close_after or close
        self.idle_mono = now_mono
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:  # the client went away; there is nobody left to tell
            self.broken = True
            self.output = b""
            return True
        if sent < len(data):
            self.output = data[sent:]
            if self.output_mono is None:
                self.output_mono = now_mono
            return False
        self.output, self.output_mono = b"", None
        if self.close_after:
            self._shut(now_mono)
        return True

    def release(self) -> None:
        """The request in hand is done with; to be called under ``lock``."""
        self.busy = False
        if self.gone:
            self.sock.close()

    def drop(self) -> None:
        """Ends it for the client; closes, or leaves that to the handler that has the request in hand."""
        with self.lock:
            self.gone = True
            if not self.busy or self.output:  # with output left, the handler has given it back
                self.sock.close()
                return
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                self.broken = True

    def _shut(self, now_mono: float) -> None:
        self.linger_mono = now_mono
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.broken = True
