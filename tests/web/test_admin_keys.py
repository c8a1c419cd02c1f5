"""``/v1/admin/keys`` over a real store: what goes in, what never comes out."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mbusgw.store.keyring import Keyring
from mbusgw.store.vault import PLAIN, Vault, fingerprint
from mbusgw.store.writer import Store
from mbusgw.web.keys import PATH, KeyRoutes
from mbusgw.web.message import Request
from mbusgw.web.router import Router
from tests.fakes.clock import FakeClock
from tests.fakes.stores import one, running_store

KEY = "0102030405060708090A0B0C0D0E0F11"
OTHER = "AA" * 16
LOOPBACK = {"host": "localhost:8080"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with running_store(tmp_path / "x.db") as store:
        yield store


class Admin:
    """Asks the routes as a client does."""

    def __init__(self, keyring: Keyring, token: str | None = None) -> None:
        self._router = Router(KeyRoutes(keyring, token).routes())

    def __call__(
        self, method: str, path: str = "", body: object = None, *, peer: str = "127.0.0.1", **query: str
    ) -> tuple[int, Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        answer = self._router.answer(Request(method, PATH + path, query, LOOPBACK, raw, peer))
        assert KEY.encode().lower() not in answer.body.lower() and OTHER.encode() not in answer.body.upper()
        return answer.status, json.loads(answer.body)


@pytest.fixture
def keyring(store: Store) -> Keyring:
    return Keyring(store, PLAIN, clock=FakeClock())


@pytest.fixture
def admin(keyring: Keyring) -> Admin:
    return Admin(keyring)


def test_a_key_that_is_set_is_listed_by_its_fingerprint(admin: Admin) -> None:
    status, answer = admin("PUT", "/12345678", {"key": KEY}, manufacturer="els")
    mark = fingerprint(bytes.fromhex(KEY))
    assert (status, answer) == (
        200,
        {"meter_id": "12345678", "manufacturer": "ELS", "fingerprint": mark, "changed": True, "retried": 0},
    )
    status, listed = admin("GET")
    assert status == 200 and listed["encrypted"] is False and listed["locked"] == 0
    assert listed["keys"] == [
        {
            "meter_id": "12345678",
            "manufacturer": "ELS",
            "fingerprint": mark,
            "encrypted": False,
            "updated_at": "2026-03-01T12:00:00.000Z",
        }
    ]
    assert admin("PUT", "/12345678", {"key_hex": KEY, "manufacturer": "ELS"})[1]["changed"] is False


def test_a_default_of_a_manufacturer_is_set_under_a_star(admin: Admin) -> None:
    assert admin("PUT", "/*", {"key": KEY}, manufacturer="ELS")[0] == 200
    assert admin("PUT", "/*", {"key": KEY})[1]["field"] == "manufacturer"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/1234567", {"key": KEY}, "meter_id"),
        ("/1234567G", {"key": KEY}, "meter_id"),
        ("/12345678", {"key": KEY[:-1]}, "key"),
        ("/12345678", {"key": KEY + "00"}, "key"),
        ("/12345678", {"key": "G" * 32}, "key"),
        ("/12345678", {"key": 17}, "key"),
        ("/12345678", {"key": None}, "key"),
        ("/12345678", {}, "key"),
        ("/12345678", {"key": KEY, "key_hex": KEY}, "key"),
        ("/12345678", {"key": KEY, "manufacturer": "EL"}, "manufacturer"),
        ("/12345678", {"key": KEY, "manufacturer": 5}, "manufacturer"),
        ("/12345678", {"kee": KEY}, "kee"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_stored(admin: Admin, path: str, body: object, field: str) -> None:
    status, answer = admin("PUT", path, body)
    assert status == 400 and answer["field"] == field and answer["message"]
    assert admin("GET")[1]["keys"] == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 5000])
def test_a_body_that_is_no_object_is_refused(admin: Admin, body: bytes) -> None:
    assert admin("PUT", "/12345678", body)[0] == 400
    assert admin("POST", "", body)[0] == 400


def test_many_keys_are_stored_all_or_none_and_every_wrong_one_is_named(admin: Admin) -> None:
    good = {"meter_id": "12345678", "manufacturer": "ELS", "key": KEY}
    bad: list[object] = [{**good, "key": "12"}, {**good, "meter_id": "x"}, 5, {**good, "colour": 1}]
    status, answer = admin("POST", "", {"keys": [good, *bad]})
    assert status == 400 and [problem["field"] for problem in answer["problems"]] == [
        "keys[1].key", "keys[2].meter_id", "keys[3]", "keys[4].colour",
    ]  # fmt: skip
    assert admin("GET")[1]["keys"] == []
    status, answer = admin("POST", "", {"keys": [good, {"meter_id": "87654321", "key": OTHER}]})
    assert (status, answer) == (200, {"keys": 2, "changed": 2, "retried": 0})


@pytest.mark.parametrize("body", [{}, {"keys": []}, {"keys": {}}, {"keys": "x"}])
def test_many_keys_need_a_list(admin: Admin, body: object) -> None:
    assert admin("POST", "", body)[1]["field"] == "keys"


def test_a_key_is_removed_and_a_doubtful_one_is_not(admin: Admin) -> None:
    for maker in ("ELS", "LUG"):
        admin("PUT", "/12345678", {"key": KEY}, manufacturer=maker)
    assert admin("DELETE", "/12345678")[0] == 409
    status, answer = admin("DELETE", "/12345678", manufacturer="LUG")
    assert status == 200 and answer["removed"]["manufacturer"] == "LUG"
    assert admin("DELETE", "/12345678")[0] == 200, "there is only one left"
    assert admin("DELETE", "/12345678")[0] == 404


def test_with_the_wrong_master_key_setting_is_a_conflict_and_listing_works(store: Store) -> None:
    keyring = Keyring(store, Vault(bytes(range(32))), clock=FakeClock())
    keyring.locked = 3
    admin = Admin(keyring)
    status, answer = admin("PUT", "/12345678", {"key": KEY})
    assert status == 409 and answer["error"] == "keys_locked" and "master key" in answer["message"]
    assert admin("GET")[1]["locked"] == 3


def test_keys_of_a_sealed_table_are_not_on_disk(tmp_path: Path, store: Store) -> None:
    admin = Admin(Keyring(store, Vault(bytes(32)), clock=FakeClock()))
    admin("PUT", "/12345678", {"key": KEY})
    assert one(store, "SELECT key_hex FROM meter_keys").startswith("gcm:")
    assert KEY.lower().encode() not in b"".join(file.read_bytes() for file in tmp_path.iterdir()).lower()


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", ""), ("PUT", "/12345678"), ("DELETE", "/12345678")]
)
def test_only_administrators_may(keyring: Keyring, method: str, path: str) -> None:
    assert Admin(keyring)(method, path, peer="192.0.2.7")[0] == 403
    assert Admin(keyring, "secret")(method, path)[0] == 401
