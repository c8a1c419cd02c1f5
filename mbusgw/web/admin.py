"""What the routes for administrators have in common."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from mbusgw.config.kinds import check_manufacturer, check_meter_id
from mbusgw.model.errors import RequestError
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import parse_iso
from mbusgw.web.auth import check_admin
from mbusgw.web.message import Request, Response, json_response
from mbusgw.web.router import Handler

T = TypeVar("T")

NO_STORE = {"Cache-Control": "no-store"}


def guarded(handler: Handler, token: str | None) -> Handler:
    """``handler`` for administrators only."""

    def check_first(request: Request) -> Response:
        check_admin(request, token)
        return handler(request)

    return check_first


def json_object(request: Request) -> dict[str, Any]:
    """The body, a JSON object. Raises ``RequestError`` 400 without showing what was sent."""
    document = json_body(request)
    if not isinstance(document, dict):
        raise RequestError(400, "bad_type", "the body is a JSON object")
    return document


def json_body(request: Request) -> Any:
    """The body, any JSON. Raises ``RequestError`` 400."""
    try:
        return exactjson.loads(request.body)
    except (ValueError, RecursionError):
        raise RequestError(400, "bad_json", "the body is no JSON") from None


def checked(field: str, check: Callable[[Any], T], value: Any) -> T:
    """``check(value)``; its ``ValueError`` becomes a ``RequestError`` 400 that names the field."""
    try:
        return check(value)
    except (ValueError, OverflowError) as error:
        raise RequestError(400, "bad_value", f"{field}: {error}", field=field) from None


def meter_id(value: Any, *, field: str = "meter_id") -> str:
    """The 8 digits of a meter's number. Raises ``RequestError``."""
    return checked(field, check_meter_id, value)


def manufacturer(value: Any) -> str | None:
    """Three letters, or None where nothing is given. Raises ``RequestError``."""
    return checked("manufacturer", check_manufacturer, value) if value not in (None, "") else None


def moment(field: str, value: Any) -> datetime | None:
    """A time of ISO 8601, or None where nothing is given. Raises ``RequestError``."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise RequestError(400, "bad_type", f"{field} is a text such as 2026-01-31T12:00:00Z", field=field)
    try:
        return parse_iso(value.replace(" ", "+") if "T" in value else value)  # a + in a query is a blank
    except (ValueError, OverflowError):
        message = f"{field} is no time of ISO 8601, such as 2026-01-31T12:00:00Z"
        raise RequestError(400, "bad_time", message, field=field) from None


def number(field: str, value: Any, *, default: int, largest: int) -> int:
    """A whole number from 1 to ``largest``. Raises ``RequestError``."""
    if value is None or value == "":
        return default
    text = str(value)
    # As long as the largest: int() refuses very long texts with an error of its own.
    if not text.isascii() or not text.isdigit() or len(text) > len(str(largest)) or not 1 <= int(text) <= largest:
        raise RequestError(400, "bad_value", f"{field} is a number from 1 to {largest}", field=field)
    return int(text)


def known_only(document: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raises ``RequestError`` 400 for a member that means nothing: a filter that is not understood must not be
    taken for none."""
    for name in document:
        if name not in known:
            message = f"{name[:40]!r} is not known here; known: {', '.join(known)}"
            raise RequestError(400, "unknown_field", message, field=name[:40])


def problems_response(code: str, message: str, problems: Sequence[tuple[str, str]]) -> Response:
    """400 with everything that is wrong at once: (where, what)."""
    document = {
        "error": code,
        "message": message,
        "problems": [{"field": field, "message": text} for field, text in problems],
    }
    return json_response(400, document, headers=NO_STORE)
