"""Requests and answers as the routes see them, and how an answer looks on the wire."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from mbusgw.model.errors import RequestError
from mbusgw.runtime import exactjson

JSON = "application/json"
_NOTHING: Mapping[str, str] = MappingProxyType({})
_REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Request:
    """One complete request. **immutable**

    ``method`` is upper case, ``path`` decoded and without the query, header names are in
    lower case. ``peer`` is the sender's address. ``names`` are the parts of the path that the
    route's pattern names.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str = ""
    keep_alive: bool = True
    names: Mapping[str, str] = field(default_factory=dict)

    def flag(self, name: str) -> bool:
        """Is a query option like ``?sync=true`` set?"""
        return self.query.get(name, "").lower() in ("true", "1", "yes", "on")


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; length, date and connection headers are added when it is sent. **immutable**"""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(status: int, document: Any, *, headers: Mapping[str, str] = _NOTHING) -> Response:
    """An answer with a JSON document."""
    return Response(status, exactjson.dumps(document).encode("utf-8", "replace"), JSON, headers)


def error_response(error: RequestError) -> Response:
    """``{"error": code, "message": for a person, "field": …}`` with the headers that belong to the status."""
    document: dict[str, Any] = {"error": error.code, "message": str(error)}
    if error.field is not None:
        document["field"] = error.field
    headers: dict[str, str] = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="mbusgw"'  # RFC 9110, 15.5.2: a 401 names the scheme
    if error.allow is not None:
        headers["Allow"] = error.allow
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return json_response(error.status, document, headers=headers)


def render(response: Response, *, epoch_s: int, keep_alive: bool, head_only: bool = False) -> bytes:
    """The bytes of an answer, in one piece so that it leaves in one packet. ``epoch_s`` dates it (RFC 9112)."""
    lines = [
        f"HTTP/1.1 {response.status} {_REASONS.get(response.status, '')}",
        f"Date: {_http_date(epoch_s)}",
        "Server: mbusgw",
    ]
    has_body = response.status >= 200 and response.status not in (204, 304)
    if has_body:
        lines.append(f"Content-Type: {response.content_type}")
        lines.append(f"Content-Length: {len(response.body)}")
    lines.extend(f"{name}: {value}" for name, value in response.headers.items())
    lines.append("Connection: keep-alive\r\n\r\n" if keep_alive else "Connection: close\r\n\r\n")
    head = "\r\n".join(lines).encode("latin-1")
    return head + response.body if has_body and not head_only else head


@lru_cache(maxsize=4)
def _http_date(epoch_s: int) -> str:
    return formatdate(epoch_s, usegmt=True)
