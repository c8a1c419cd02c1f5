"""Which handler answers which path, and what the wrong ones are told."""
from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from mbusgw.model.errors import MbusgwError, RequestError, StoreError
from mbusgw.web.message import Request, Response, error_response

log = logging.getLogger(__name__)

Handler = Callable[[Request], Response]
_NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table. **immutable**

    ``pattern`` is a path; ``{name}`` in it stands for one part, which the handler finds in
    ``request.names``. A handler may raise ``RequestError`` and any other ``MbusgwError``.
    """

    method: str
    pattern: str
    handler: Handler
    summary: str


class Router:
    """Answers every request with a response, whatever is wrong with it. **any thread**

    ``HEAD`` is answered by the ``GET`` of the path where it has no row of its own (the server leaves the
    body out). An unknown path is 404, a known one with another method 405 with ``Allow``.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._fixed: dict[str, dict[str, Handler]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Handler]]] = []
        for route in self.routes:
            self._methods_of(route.pattern)[route.method] = route.handler

    def answer(self, request: Request) -> Response:
        """The response to one request."""
        try:
            request, methods = self._find(request)
            return self._handler(request, methods)(request)
        except MbusgwError as error:
            return error_response(refusal(error, request.path))

    def _methods_of(self, pattern: str) -> dict[str, Handler]:
        if "{" not in pattern:
            return self._fixed.setdefault(pattern, {})
        parts = _NAME.split(pattern)  # text, name, text, name, …, text
        expression = "".join(f"(?P<{part}>[^/]+)" if odd % 2 else re.escape(part) for odd, part in enumerate(parts))
        for known, methods in self._patterns:
            if known.pattern == expression:
                return methods
        self._patterns.append((re.compile(expression), {}))
        return self._patterns[-1][1]

    def _find(self, request: Request) -> tuple[Request, dict[str, Handler]]:
        methods = self._fixed.get(request.path)
        if methods is not None:
            return request, methods
        for pattern, methods in self._patterns:
            match = pattern.fullmatch(request.path)
            if match:
                return replace(request, names=match.groupdict()), methods
        raise RequestError(404, "not_found", "there is nothing here; GET / lists what there is")

    @staticmethod
    def _handler(request: Request, methods: dict[str, Handler]) -> Handler:
        handler = methods.get(request.method)
        if handler is None and request.method == "HEAD":
            handler = methods.get("GET")
        if handler is None:
            allowed = set(methods) | ({"HEAD"} if "GET" in methods else set())
            allow = ", ".join(sorted(allowed))
            raise RequestError(405, "method_not_allowed", f"use {allow.replace(', ', ' or ')} here", allow=allow)
        return handler


def refusal(error: MbusgwError, path: str) -> RequestError:
    """What a client is told of an error of ours: what it says itself, or that it may come back later."""
    if isinstance(error, RequestError):
        return error
    log.error("%.200r: %s", path, error)
    code = "store" if isinstance(error, StoreError) else "unavailable"
    return RequestError(503, code, str(error), retry_after_s=5)
