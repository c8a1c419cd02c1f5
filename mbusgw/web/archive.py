"""``/v1/admin/telegrams``: what became of the telegrams, and running them again."""
from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from mbusgw.model.errors import RequestError
from mbusgw.store.archive import REPLAYABLE, STATUSES, Wanted
from mbusgw.store.replays import AT_ONCE, Telegrams
from mbusgw.web.admin import NO_STORE, guarded, json_object, known_only, manufacturer, meter_id, moment, number
from mbusgw.web.message import Request, Response, json_response
from mbusgw.web.router import Route

PATH = "/v1/admin/telegrams"
_FILTERS = ("status", "meter", "gateway", "since", "until")
_PAGE, LARGEST_PAGE = 100, 1000


class ArchiveRoutes:
    """Lists telegrams and has them parsed again, for an administrator. **any thread**"""

    def __init__(self, telegrams: Telegrams, token: str | None) -> None:
        self._telegrams = telegrams
        self._token = token

    def routes(self) -> list[Route]:
        """The rows for the table."""
        admin = partial(guarded, token=self._token)
        filters = "status, meter, gateway, since, until"
        return [
            Route("GET", PATH, admin(self.list), f"telegrams, newest first; ?{filters}, limit, cursor (admin)"),
            Route("GET", f"{PATH}/{{ingest_id}}", admin(self.show), "one telegram and its result (admin)"),
            Route("POST", f"{PATH}/replay", admin(self.replay), f"parse again: {filters}, ingest_ids, limit (admin)"),
        ]

    def list(self, request: Request) -> Response:
        """A page of telegrams; ``next`` is the ``cursor`` of the following one, null at the end."""
        return json_response(200, page(self._telegrams, request.query), headers=NO_STORE)

    def show(self, request: Request) -> Response:
        """One telegram with what the parser made of it."""
        return json_response(200, self._telegrams.show(request.names["ingest_id"]), headers=NO_STORE)

    def replay(self, request: Request) -> Response:
        """202 with how many are parsed again, and whether more would fit the filter."""
        return json_response(202, replay_answer(self._telegrams, json_object(request)), headers=NO_STORE)


def page(telegrams: Telegrams, query: Mapping[str, str]) -> dict[str, Any]:
    """The document of a page that ``query`` asks for. Raises ``RequestError``, ``StoreError``."""
    known_only(query, (*_FILTERS, "limit", "cursor"))
    limit = number("limit", query.get("limit"), default=_PAGE, largest=LARGEST_PAGE)
    cursor = number("cursor", query.get("cursor"), default=0, largest=1 << 62) or None
    documents, following = telegrams.select(wanted(query), limit=limit, before=cursor)
    return {"telegrams": documents, "next": str(following) if following is not None else None}


def replay_answer(telegrams: Telegrams, body: Mapping[str, Any]) -> dict[str, Any]:
    """Has parsed again what ``body`` asks for. Raises ``RequestError``, ``StoreError``."""
    known_only(body, (*_FILTERS, "ingest_ids", "limit"))
    asked = wanted(body)
    for status in asked.statuses:
        if status not in REPLAYABLE:
            message = f"{status} is not run again; what can be: {', '.join(REPLAYABLE)}"
            raise RequestError(400, "bad_value", message, field="status")
    limit = number("limit", body.get("limit"), default=AT_ONCE, largest=AT_ONCE)
    count, more = telegrams.replay(asked, limit=limit)
    return {"replayed": count, "more": more}


def wanted(given: Mapping[str, Any]) -> Wanted:
    """The filter that ``status``, ``meter``, ``gateway``, ``since``, ``until``, ``ingest_ids`` ask for. Raises
    ``RequestError`` 400 that names what is wrong."""
    number_, maker = _meter(given.get("meter"))
    return Wanted(
        statuses=_statuses(given.get("status")),
        meter_id=number_,
        manufacturer=maker,
        gateway_id=_text("gateway", given.get("gateway")),
        since=moment("since", given.get("since")),
        until=moment("until", given.get("until")),
        ingest_ids=_ids(given.get("ingest_ids")),
    )


def _statuses(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise RequestError(400, "bad_type", "status is a text or a list of texts", field="status")
    found = tuple(part.strip().lower() for part in parts)
    for status in found:
        if status not in STATUSES:
            raise RequestError(400, "bad_value", f"status is one of {', '.join(STATUSES)}", field="status")
    return found


def _meter(value: Any) -> tuple[str | None, str | None]:
    """``12345678``, or ``els_12345678`` as a device is called."""
    text = _text("meter", value)
    if text is None:
        return None, None
    maker, _, digits = text.rpartition("_")
    return meter_id(digits, field="meter"), manufacturer(maker)


def _ids(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not value or not all(isinstance(part, str) for part in value):
        raise RequestError(400, "bad_type", "ingest_ids is a list of ids", field="ingest_ids")
    return tuple(value)


def _text(field: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise RequestError(400, "bad_type", f"{field} is a text", field=field)
    return value
