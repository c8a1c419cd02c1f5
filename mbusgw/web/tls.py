"""TLS on accepted connections: a stream that behaves like a non-blocking socket, and the certificate behind it."""
from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
from pathlib import Path
from typing import Protocol

from mbusgw.model.errors import MbusgwError
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.condition import Condition

log = logging.getLogger(__name__)

#: How often the certificate's files are looked at.
LOOK_S = 5.0
#: What somebody is told who speaks plain HTTP to a port for HTTPS.
_PLAIN = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    b'{"error":"tls_required","message":"this port speaks HTTPS: write https:// instead of http://"}'
)


class Stream(Protocol):
    """What is needed of a client's non-blocking socket. All but ``fileno`` may raise ``OSError``."""

    def fileno(self) -> int: ...

    def recv_into(self, buffer: memoryview, /) -> int: ...

    def send(self, data: bytes, /) -> int: ...

    def shutdown(self, how: int, /) -> None: ...

    def close(self) -> None: ...


class TlsStream:
    """The server's end of one TLS connection over a non-blocking socket. **any thread**, one call at a time

    Raises ``BlockingIOError`` where a socket would. The handshake is made by the first ``recv_into`` calls. One
    call takes at most one record, which is smaller than the buffer it is given, so that nothing
    that has come stays behind where the selector does not see it.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._lock = threading.Lock()  # OpenSSL wants one call at a time on a connection

    def fileno(self) -> int:
        """For the selector."""
        return self._sock.fileno()

    def recv_into(self, buffer: memoryview) -> int:
        """What has come, decrypted; 0 at the end."""
        with self._lock:
            try:
                return self._sock.recv_into(buffer)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise BlockingIOError from None
            except ssl.SSLError as error:
                if error.reason == "HTTP_REQUEST":
                    socket.socket.send(self._sock, _PLAIN)
                raise

    def send(self, data: bytes) -> int:
        """Takes all of ``data`` or, with ``BlockingIOError``, none; the same bytes must then be sent again."""
        with self._lock:
            try:
                return self._sock.send(data)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise BlockingIOError from None

    def shutdown(self, how: int) -> None:
        """Says in TLS, then in TCP, that nothing follows."""
        with self._lock:
            try:
                self._sock.unwrap()
            except (ssl.SSLError, ValueError):
                pass  # it is said; the client's own word is not waited for
            socket.socket.shutdown(self._sock, how)  # that of SSLSocket would go on unencrypted

    def close(self) -> None:
        """Gives the descriptor back."""
        self._sock.close()


class Certificate:
    """The certificate and its key, read again when their files change. ``load``: the main thread; the rest:
    **own thread** (``http``)

    A changed file that cannot be used is logged once; the old certificate goes on being shown.
    """

    def __init__(self, cert_file: Path, key_file: Path | None, clock: Clock) -> None:
        self._cert_file = cert_file
        self._key_file = key_file or cert_file
        self._clock = clock
        self._context: ssl.SSLContext | None = None
        self._seen: tuple[object, ...] = ()
        self._next_look_mono = 0.0
        self._condition = Condition(log, f"certificate {cert_file}", clock)

    def load(self) -> None:
        """Reads the files. Raises ``MbusgwError``."""
        self._seen = self._stamp()
        self._context = self._read()

    def context(self) -> ssl.SSLContext:
        """For the next client."""
        now_mono = self._clock.mono()
        if now_mono >= self._next_look_mono or self._context is None:
            self._next_look_mono = now_mono + LOOK_S
            self._look()
        assert self._context is not None, "load comes first"
        return self._context

    def _look(self) -> None:
        stamp = self._stamp()
        if stamp == self._seen:
            return
        try:
            self._context = self._read()
        except MbusgwError as error:  # perhaps only one of the two files is new yet: look again
            self._condition.failed(error)
            return
        self._seen = stamp
        self._condition.cleared("can be used again")
        log.info("the certificate in %s is new; it is shown from now on", self._cert_file)

    def _stamp(self) -> tuple[object, ...]:
        return tuple(_stamp_of(path) for path in (self._cert_file, self._key_file))

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._cert_file, self._key_file, password=_no_password)
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).replace("_", " ").lower()
            hint = "both are PEM files; the key belongs to the certificate and has no password"
            raise MbusgwError(
                f"http.tls_cert_file {self._cert_file} and key {self._key_file} cannot be used: {reason}", hint=hint
            ) from error
        except OSError as error:
            raise MbusgwError(
                f"http.tls_cert_file {self._cert_file} or its key {self._key_file} cannot be read: {error.strerror}",
                hint="the user mbusgw must be able to read both files",
            ) from error
        return context


def _no_password() -> str:
    """OpenSSL would ask for one on the terminal."""
    return ""


def _stamp_of(path: Path) -> object:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
