"""A body that comes in chunks (RFC 9112, 7.1), for clients that do not know its length beforehand."""
from __future__ import annotations

import re

from mbusgw.model.errors import RequestError

#: A chunk's first line: its size in hex, extensions ignored. Longer ones are refused.
_LINE_BYTES = 256
_TRAILER_BYTES = 4096
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[^\r\n]*)?")


def too_large(limit_bytes: int) -> RequestError:
    """413: a body longer than is read."""
    return RequestError(413, "too_large", f"the body is larger than {limit_bytes} bytes")


class ChunkedBody:
    """Puts the chunks of one body together. **own thread**"""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._body = bytearray()
        self._open_bytes = 0
        self._in_chunk = False
        self._last = False
        self._trailer_bytes = 0

    def take(self, buffer: bytearray) -> bytes | None:
        """Eats what belongs to the body out of ``buffer``; the body once it is whole, None before.

        Raises ``RequestError`` for a size that is none, or a body over the limit.
        """
        while True:
            if self._last:
                return bytes(self._body) if self._skip_trailer(buffer) else None
            if not (self._take_data(buffer) if self._in_chunk else self._take_size(buffer)):
                return None

    def _take_size(self, buffer: bytearray) -> bool:
        line = _line(buffer, _LINE_BYTES)
        if line is None:
            return False
        size = _SIZE.fullmatch(line)
        if size is None:
            raise RequestError(400, "bad_request", "a chunk does not begin with its size")
        self._open_bytes = int(size[1], 16)
        if len(self._body) + self._open_bytes > self._limit:
            raise too_large(self._limit)
        self._in_chunk = self._open_bytes > 0
        self._last = not self._in_chunk
        return True

    def _take_data(self, buffer: bytearray) -> bool:
        part = buffer[: self._open_bytes]
        self._body += part
        del buffer[: len(part)]
        self._open_bytes -= len(part)
        if self._open_bytes or len(buffer) < 2:
            return False
        if buffer[:2] != b"\r\n":
            raise RequestError(400, "bad_request", "a chunk is longer than it said")
        del buffer[:2]
        self._in_chunk = False
        return True

    def _skip_trailer(self, buffer: bytearray) -> bool:
        while True:
            line = _line(buffer, _TRAILER_BYTES)
            if line is None:
                return False
            self._trailer_bytes += len(line)
            if self._trailer_bytes > _TRAILER_BYTES:
                raise RequestError(431, "headers_too_large", "too many headers after the last chunk")
            if not line:
                return True


def _line(buffer: bytearray, limit_bytes: int) -> bytes | None:
    end = buffer.find(b"\r\n", 0, limit_bytes + 2)
    if end < 0:
        if len(buffer) > limit_bytes:
            raise RequestError(400, "bad_request", "a line between the chunks is too long")
        return None
    line = bytes(buffer[:end])
    del buffer[: end + 2]
    return line
