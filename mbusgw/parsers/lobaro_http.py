"""The HTTP side of the Lobaro parser's web API. The home of requests (and its urllib3).

The meter's key travels in the URL, so nothing that knows the URL leaves this file: exceptions of
requests are not chained, and what urllib3 logs is cleaned.
"""
from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
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

_KEY_IN_URL = re.compile(r"(key=)[^&\s\"']*", re.IGNORECASE)
_CHATTY = ("connectionpool", "connection", "poolmanager", "response", "util.retry")


class _CleanUrls(logging.Filter):
    """Takes keys out of the URLs that urllib3 logs. **any thread**"""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if "key=" in text.lower():
            record.msg, record.args = _KEY_IN_URL.sub(r"\1***", text), ()
        return True


for _name in _CHATTY:
    logging.getLogger(f"urllib3.{_name}").addFilter(_CleanUrls())


class Broken(Enum):
    """Why there is no answer."""

    TIMEOUT = "no answer in time"
    CONNECTION = "no connection"
    TLS = "no trusted TLS connection"
    TOO_LONG = "an answer without an end"
    REQUEST = "the request cannot be sent; is lobaro.url right?"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. **immutable**"""

    status: int
    body: bytes
    retry_after: str | None = None


class _Bearer(AuthBase):
    """Puts the token into the request; unlike a header it is not replaced by a ``.netrc``. **immutable**"""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(slots=True)
class Http:
    """Posts to the parser, with one session per thread. **any thread**"""

    clock: Clock
    _local: threading.local = field(default_factory=threading.local)
    _sessions: list[requests.Session] = field(default_factory=list)

    def post(
        self,
        url: str,
        token: str,
        *,
        query: dict[str, str],
        body: bytes | None,
        timeout_s: float,
        connect_timeout_s: float | None = None,
    ) -> Answer | Broken:
        """One request; ``timeout_s`` bounds the whole exchange. Nothing is raised: an exception would know the URL."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        deadline_mono = self.clock.mono() + timeout_s
        try:
            with self._session().post(
                url,
                params=query,
                data=body,
                headers=headers,
                auth=_Bearer(token),
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
