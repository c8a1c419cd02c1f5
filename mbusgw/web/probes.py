"""What others may look at: ``/``, ``/health``, ``/healthz``, ``/metrics``, ``/state``."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from mbusgw.runtime.metrics import CONTENT_TYPE
from mbusgw.web.message import Request, Response, json_response
from mbusgw.web.router import Route

#: A document with a ``status``; these mean 503.
Look = Callable[[], Mapping[str, Any]]
_BAD = frozenset({"unhealthy", "unavailable"})
_NO_STORE = {"Cache-Control": "no-store"}


class ProbeRoutes:
    """The routes that only look. **any thread**

    ``health`` and ``readiness`` return a document with a ``status``: ``unhealthy`` and ``unavailable`` are answered
    503, everything else 200. ``state`` returns the snapshot of all devices, ``metrics`` the exposition text.
    """

    def __init__(
        self, *, health: Look, readiness: Look, state: Callable[[], Any], metrics: Callable[[], bytes]
    ) -> None:
        self._health = health
        self._readiness = readiness
        self._state = state
        self._metrics = metrics

    def routes(self) -> list[Route]:
        """The rows for the table."""
        return [
            Route("GET", "/health", lambda _: _look(self._health), "how each component is; 503 when unhealthy"),
            Route("GET", "/healthz", lambda _: _look(self._readiness), "broker, parser, queues; 503 when not ready"),
            Route("GET", "/metrics", self.metrics, "counters for Prometheus"),
            Route("GET", "/state", self.state, "every meter with its last values"),
        ]

    def metrics(self, _request: Request) -> Response:
        """The counters in Prometheus' text format."""
        return Response(200, self._metrics(), CONTENT_TYPE, _NO_STORE)

    def state(self, _request: Request) -> Response:
        """The snapshot of every device."""
        return json_response(200, self._state(), headers=_NO_STORE)


def index_route(routes: Sequence[Route], version: str) -> Route:
    """``GET /``: the table itself, for people (HTML) and programs (JSON)."""
    rows = [{"method": route.method, "path": route.pattern, "what": route.summary} for route in routes]
    document = {"name": "mbusgw", "version": version, "routes": rows}
    page = _page(rows, version).encode()

    def index(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return Response(200, page, "text/html; charset=utf-8")
        return json_response(200, document)

    return Route("GET", "/", index, "this list")


def _look(source: Look) -> Response:
    document = source()
    return json_response(503 if document["status"] in _BAD else 200, document, headers=_NO_STORE)


def _page(rows: Sequence[Mapping[str, str]], version: str) -> str:
    items = "".join(
        f"<tr><td>{escape(row['method'])}</td><td>{_linked(row)}</td><td>{escape(row['what'])}</td></tr>"
        for row in rows
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>mbusgw</title>'
        "<style>body{font:16px sans-serif;margin:2em}td{padding:.2em 1em .2em 0}</style></head>"
        f"<body><h1>mbusgw {escape(version)}</h1><table>{items}</table></body></html>"
    )


def _linked(row: Mapping[str, str]) -> str:
    path = escape(row["path"])
    return f'<a href="{path}">{path}</a>' if row["method"] == "GET" and "{" not in path else path
