"""Posts to web servers. The home of requests (and its urllib3).

A URL may hold a secret (a meter's key, a webhook's token), so nothing that knows it leaves this file: exceptions of
requests are not chained, and what urllib3 logs is cleaned.
"""
from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import Enum

import requests
import urllib3
from requests.auth import AuthBase

from mbusgw.runtime.clock import Clock

#: Larger answers are none.
_LARGEST_BYTES = 4 << 20
_CHUNK_BYTES = 16 << 10
#: No pause that the service asks for is longer.
LONGEST_PAUSE_S = 3600.0

#: ``"POST /path?query HTTP/1.1"`` and ``(url=…)``.
_PATH = re.compile(r"(\"[A-Z]+ )[^\s\"]+|(\(url=)[^)]*")
_CHATTY = ("connectionpool", "connection", "poolmanager", "response", "util.retry")


class _CleanUrls(logging.Filter):
    """Leaves of the URLs that urllib3 logs scheme, host and port. **any thread**"""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        cleaned = _PATH.sub(lambda found: f"{found[1] or found[2]}***", text)
        if cleaned != text:
            record.msg, record.args = cleaned, ()
        return True


for _name in _CHATTY:
    logging.getLogger(f"urllib3.{_name}").addFilter(_CleanUrls())


class Broken(Enum):
    """Why there is no answer."""

    TIMEOUT = "no answer in time"
    CONNECTION = "no connection"
    TLS = "no trusted TLS connection"
    TOO_LONG = "an answer without an end"
    REQUEST = "the request cannot be sent; is its URL right?"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. **immutable**"""

    status: int
    body: bytes
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be posted. ``authorization`` is the whole value of that header. **immutable**"""

    url: str = field(repr=False)
    body: bytes | None
    content_type: str = "application/json"
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    authorization: str | None = field(default=None, repr=False)


class _Authorization(AuthBase):
    """Puts it into the request; unlike a header it is not replaced by a ``.netrc``. **immutable**"""

    def __init__(self, value: str | None) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value is not None:
            request.headers["Authorization"] = self._value
        return request


@dataclass(slots=True)
class Http:
    """Posts, with one session per thread. **any thread**"""

    clock: Clock
    _local: threading.local = field(default_factory=threading.local)
    _sessions: list[requests.Session] = field(default_factory=list)

    def post(
        self, request: Request, *, timeout_s: float, connect_timeout_s: float | None = None
    ) -> Answer | Broken:
        """One request; ``timeout_s`` bounds the whole exchange. Nothing is raised: an exception would know the URL."""
        headers = {"Accept": "application/json", **request.headers}
        if request.body is not None:
            headers.setdefault("Content-Type", request.content_type)
        deadline_mono = self.clock.mono() + timeout_s
        try:
            with self._session().post(
                request.url,
                params=dict(request.query),
                data=request.body,
                headers=headers,
                auth=_Authorization(request.authorization),
                timeout=(min(connect_timeout_s or timeout_s, timeout_s), timeout_s),
                allow_redirects=False,
                stream=True,
            ) as response:
                return self._read(response, deadline_mono)
        except requests.Timeout:
            return Broken.TIMEOUT
        except requests.exceptions.SSLError:
            return Broken.TLS
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            return Broken.TIMEOUT if self.clock.mono() >= deadline_mono else Broken.CONNECTION
        except requests.RequestException:
            return Broken.REQUEST
        except urllib3.exceptions.HTTPError:  # out of a body read past requests
            return Broken.TIMEOUT if self.clock.mono() >= deadline_mono else Broken.CONNECTION

    def close(self) -> None:
        """Closes the sessions of all threads."""
        while self._sessions:
            self._sessions.pop().close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            self._sessions.append(session)
        return session

    def _read(self, response: requests.Response, deadline_mono: float) -> Answer | Broken:
        body = bytearray()
        for chunk in _pieces(response):
            body += chunk
            if len(body) > _LARGEST_BYTES:
                return Broken.TOO_LONG
            if self.clock.mono() >= deadline_mono:
                return Broken.TIMEOUT
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and "Content-Encoding" not in response.headers and len(body) < int(announced):
            return Broken.CONNECTION  # cut off; urllib3 before 2 does not say so
        return Answer(response.status_code, bytes(body), response.headers.get("Retry-After"))


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives. A plain ``iter_content`` waits for full chunks, and so for ever when bytes drip."""
    read1 = getattr(response.raw, "read1", None)
    if read1 is None:  # urllib3 before 2: byte by byte, out of its buffer
        yield from response.iter_content(1)
        return
    while True:
        piece = read1(_CHUNK_BYTES, decode_content=True)
        if not piece:
            return
        yield piece


def retry_after_s(text: str | None, clock: Clock) -> float | None:
    """Seconds that a Retry-After header asks for (a number or an HTTP date), an hour at most: a clock, its or ours,
    may be wrong. None where it says nothing sane."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_PAUSE_S)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    if moment.tzinfo is None:
        return None
    return min(max(0.0, (moment - clock.now()).total_seconds()), LONGEST_PAUSE_S)
