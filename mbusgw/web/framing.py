"""Bytes to requests: HTTP/1.1 framing (RFC 9112) without a socket, a thread or a clock.

Light on purpose: parsing the head with ``email.parser``, as ``http.server`` does, is the largest
single cost of a small POST. Strict on purpose: where a request could be read in two ways
(two lengths, a length and chunks, bare line feeds) it is refused, because a proxy before us may
read it the other way.
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote, urlsplit

from mbusgw.model.errors import RequestError
from mbusgw.web.chunked import ChunkedBody, too_large
from mbusgw.web.message import Request

_NOTHING: Mapping[str, str] = MappingProxyType({})
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_VERSION = re.compile(r"HTTP/(\d)\.(\d)")
#: What a client begins with that takes this port for one of HTTPS (RFC 8446, 5.1).
_TLS_HANDSHAKE = 0x16
#: Headers that must not come twice: two of them would mean two things.
_SINGLE = frozenset({"host", "content-length", "authorization", "content-type"})


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a request may be, in bytes. **immutable**"""

    line_bytes: int = 8 * 1024
    head_bytes: int = 16 * 1024
    headers: int = 100
    body_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Head:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    keep_alive: bool
    length: int
    chunked: bool


class Framing:
    """Collects the bytes of one connection and gives out whole requests. **own thread** (or under one lock)

    After a ``RequestError`` the stream cannot be trusted any more: the caller answers it and closes.
    """

    def __init__(self, limits: Limits, peer: str = "") -> None:
        self._limits = limits
        self._peer = peer
        self._buffer = bytearray()
        self._head: _Head | None = None
        self._last_head: tuple[bytes, _Head] | None = None
        self._chunks: ChunkedBody | None = None
        self._searched = 0

    def feed(self, data: bytes | memoryview) -> None:
        """Takes what came from the socket."""
        self._buffer += data

    @property
    def waiting_bytes(self) -> int:
        """How much came that is not given out yet."""
        return len(self._buffer)

    @property
    def begun(self) -> bool:
        """A request has begun that is not complete."""
        return self._head is not None or bool(self._buffer)

    @property
    def wants_continue(self) -> bool:
        """The client waits for ``100 Continue`` before it sends the body (RFC 9110, 10.1.1)."""
        head = self._head
        return head is not None and not self._buffer and head.headers.get("expect", "").lower() == "100-continue"

    def take(self) -> Request | None:
        """The next complete request, or None when more bytes are needed. Raises ``RequestError``."""
        if self._head is None:
            self._head = self._take_head()
        if self._head is None:
            return None
        body = self._take_body(self._head)
        if body is None:
            return None
        head, self._head = self._head, None
        return Request(head.method, head.path, head.query, head.headers, body, self._peer, head.keep_alive)

    # -------------------------------------------------- body
    def _take_body(self, head: _Head) -> bytes | None:
        if head.chunked:
            if self._chunks is None:
                self._chunks = ChunkedBody(self._limits.body_bytes)
            body = self._chunks.take(self._buffer)
            if body is not None:
                self._chunks = None
            return body
        if len(self._buffer) < head.length:
            return None
        body = bytes(self._buffer[: head.length])
        del self._buffer[: head.length]
        return body

    # -------------------------------------------------- head
    def _take_head(self) -> _Head | None:
        buffer = self._buffer
        while buffer[:2] == b"\r\n":  # empty lines between requests are skipped (RFC 9112, 2.2)
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n", self._searched)
        if end < 0:
            self._check_unfinished()
            self._searched = max(0, len(buffer) - 3)
            return None
        self._searched = 0
        if end > self._limits.head_bytes:
            raise self._head_too_large()
        text = bytes(buffer[:end])
        del buffer[: end + 4]
        if self._last_head is None or self._last_head[0] != text:  # a gateway sends the same again and again
            self._last_head = text, self._parse(text.decode("latin-1"))
        return self._last_head[1]

    def _check_unfinished(self) -> None:
        buffer, limits = self._buffer, self._limits
        if buffer.find(b"\n\n", max(0, self._searched - 1)) >= 0 or buffer[:1] == b"\n":
            raise RequestError(400, "bad_request", "the lines of a request end in CR LF, not in LF alone")
        if buffer and buffer[0] != 0x0D and not _TOKEN.match(chr(buffer[0])):  # no need to wait for the rest
            raise _no_request(buffer[0])
        line_bytes = buffer.find(b"\r\n", 0, limits.line_bytes + 2)
        if line_bytes < 0 and len(buffer) > limits.line_bytes + 1:
            raise self._line_too_long()
        if len(buffer) > limits.head_bytes + 3:
            raise self._head_too_large()

    def _parse(self, text: str) -> _Head:
        first, *lines = text.split("\r\n")
        if len(first) > self._limits.line_bytes:
            raise self._line_too_long()
        if len(lines) > self._limits.headers:
            raise self._head_too_large()
        method, target, old = _request_line(first)
        headers = _headers(lines)
        if not old and "host" not in headers:
            raise RequestError(400, "bad_request", "a request of HTTP/1.1 names the host", field="Host")
        chunked = _is_chunked(headers, old=old)
        path, query = _target(target)
        options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
        keep_alive = "keep-alive" in options if old else "close" not in options
        length = 0 if chunked else self._length(headers)
        return _Head(method, path, query, headers, keep_alive, length, chunked)

    def _length(self, headers: Mapping[str, str]) -> int:
        text = headers.get("content-length")
        if text is None:
            return 0  # RFC 9112, 6.3: no body
        if not (text.isascii() and text.isdigit()):
            raise RequestError(400, "bad_request", "Content-Length is no number", field="Content-Length")
        if len(text) > 12 or int(text) > self._limits.body_bytes:
            raise too_large(self._limits.body_bytes)
        return int(text)

    def _line_too_long(self) -> RequestError:
        limit = self._limits.line_bytes
        return RequestError(414, "uri_too_long", f"the request line is longer than {limit} bytes")

    def _head_too_large(self) -> RequestError:
        limits = self._limits
        return RequestError(
            431, "headers_too_large", f"more than {limits.head_bytes} bytes or {limits.headers} lines of headers"
        )


def _no_request(first_byte: int) -> RequestError:
    if first_byte == _TLS_HANDSHAKE:
        return RequestError(400, "plain_http", "this port speaks HTTP, not HTTPS: write http:// instead of https://")
    return RequestError(400, "bad_request", "that is no request of HTTP")


def _request_line(line: str) -> tuple[str, str, bool]:
    """Method, target, and whether the client speaks HTTP/1.0."""
    parts = line.split(" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not parts[1] or _FORBIDDEN.search(line):
        raise RequestError(400, "bad_request", "the request line is not METHOD /path HTTP/1.1")
    version = _VERSION.fullmatch(parts[2])
    if version is None:
        raise RequestError(400, "bad_request", "the request line does not end in HTTP/1.1")
    if version[1] != "1":
        raise RequestError(505, "version_not_supported", "only HTTP/1.1 and HTTP/1.0 are spoken here")
    return parts[0], parts[1], version[2] == "0"


def _headers(lines: list[str]) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        # No blank before the colon and no folded lines: both have been used to smuggle requests (RFC 9112, 5).
        if not colon or not _TOKEN.fullmatch(name) or _FORBIDDEN.search(value):
            raise RequestError(400, "bad_request", "a header line is not NAME: VALUE")
        name = name.lower()
        value = value.strip(" \t")
        if name in headers:
            if name in _SINGLE:
                raise RequestError(400, "bad_request", "the header comes twice", field=name)
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


def _is_chunked(headers: Mapping[str, str], *, old: bool) -> bool:
    coding = headers.get("transfer-encoding")
    if coding is None:
        return False
    if old or "content-length" in headers:
        raise RequestError(400, "bad_request", "Transfer-Encoding does not go with Content-Length or HTTP/1.0")
    if coding.lower() != "chunked":
        raise RequestError(501, "not_implemented", "chunked is the only Transfer-Encoding understood")
    return True


def _target(target: str) -> tuple[str, Mapping[str, str]]:
    if not target.startswith("/"):
        target = _origin_form(target)
    path, mark, query = target.partition("?")
    if "%" in path:
        path = unquote(path)
    return path, MappingProxyType(_query(query)) if mark else _NOTHING


def _origin_form(target: str) -> str:
    """``http://host/path`` as a proxy would ask (RFC 9112, 3.2.2) to ``/path``; ``*`` stays."""
    if target == "*":
        return target
    try:
        parts = urlsplit(target)
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in ("http", "https"):
        raise RequestError(400, "bad_request", "the request target is no path")
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _query(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=50))
    except ValueError as error:
        raise RequestError(400, "bad_request", "too many options in the query") from error
