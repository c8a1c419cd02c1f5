"""The listening socket, by ``http.server``."""
from __future__ import annotations

import errno
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import TCPServer

from mbusgw.model.errors import MbusgwError
from mbusgw.web.tls import Certificate, Stream, TlsStream

#: The default of 5 lets about ten of 300 clients in that come at once.
BACKLOG = 1024


class Listener(HTTPServer):
    """``HTTPServer`` reduced to its door: binds, listens, accepts; what follows is the acceptor's. **own thread**

    With a ``certificate`` every client has to speak TLS.
    Raises ``MbusgwError`` when the address cannot be had, with advice.
    """

    request_queue_size = BACKLOG

    def __init__(self, host: str, port: int, certificate: Certificate | None = None) -> None:
        self._certificate = certificate
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), BaseHTTPRequestHandler, bind_and_activate=False)
        try:
            self.server_bind()
            self.server_activate()
        except OSError as error:
            self.server_close()
            raise _explain(host, port, error) from error
        self.socket.setblocking(False)

    def server_bind(self) -> None:
        """Binds without the reverse look-up of the host's name, which may hang for seconds without a DNS."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()[:2]

    def accept(self) -> tuple[Stream, str] | None:
        """The next client and its address, or None when nobody waits. Raises ``OSError`` without descriptors."""
        try:
            client, address = self.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = str(address[0])
        peer = peer.removeprefix("::ffff:") if "." in peer else peer
        return (client if self._certificate is None else TlsStream(client, self._certificate.context())), peer


def _explain(host: str, port: int, error: OSError) -> MbusgwError:
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    hint = "set http.listen to an address of this machine"
    if error.errno == errno.EADDRINUSE:
        hint = "another mbusgw or another program has the port: stop it, or choose another one in http.listen"
    elif error.errno == errno.EACCES:
        hint = "ports below 1024 need a privilege: choose one above in http.listen"
    return MbusgwError(f"cannot listen on {place}: {error.strerror or error}", hint=hint)
