"""``/v1/admin/dashboard``: a view for Home Assistant."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from mbusgw.web.admin import NO_STORE, guarded, known_only
from mbusgw.web.message import Request, Response, json_response
from mbusgw.web.router import Route

PATH = "/v1/admin/dashboard"

#: The view of these meters (all where there are none) in this language; raises ``MbusgwError``.
View = Callable[[Sequence[str], str | None], Mapping[str, Any]]


class DashboardRoutes:
    """Gives the view to an administrator. **any thread**"""

    def __init__(self, view: View, token: str | None) -> None:
        self._view = view
        self._token = token

    def routes(self) -> list[Route]:
        """The rows for the table."""
        admin = partial(guarded, token=self._token)
        return [Route("GET", PATH, admin(self.show), "a view for Home Assistant; ?meters, language (admin)")]

    def show(self, request: Request) -> Response:
        """The view as JSON; ``meters`` are ids or patterns, parted by commas."""
        known_only(request.query, ("meters", "language"))
        meters = [name for name in request.query.get("meters", "").split(",") if name]
        return json_response(200, self._view(meters, request.query.get("language") or None), headers=NO_STORE)
