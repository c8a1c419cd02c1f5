"""Entities that are gone leave in two steps."""
from __future__ import annotations

from typing import Any

from mbusgw.mqtt.removal import with_leaving
from mbusgw.runtime import exactjson


def payload(**components: Any) -> str:
    return exactjson.dumps({"device": {}, "components": components})


A, B = {"platform": "sensor", "unique_id": "a"}, {"platform": "button", "unique_id": "b"}
GONE = {"platform": "button"}


def test_the_first_document_is_sent_as_it_is() -> None:
    assert with_leaving(payload(a=A), None, previous_waits=False) == payload(a=A)


def test_what_is_not_there_any_more_is_named_by_its_platform() -> None:
    assert with_leaving(payload(a=A), payload(a=A, b=B), previous_waits=False) == payload(a=A, b=GONE)


def test_what_has_left_is_left_out() -> None:
    assert with_leaving(payload(a=A), payload(a=A, b=GONE), previous_waits=False) == payload(a=A)


def test_what_is_to_leave_and_was_not_sent_leaves_with_the_next_document() -> None:
    assert with_leaving(payload(a=A), payload(a=A, b=GONE), previous_waits=True) == payload(a=A, b=GONE)


def test_what_comes_back_is_whole_again() -> None:
    assert with_leaving(payload(a=A, b=B), payload(a=A, b=GONE), previous_waits=True) == payload(a=A, b=B)
