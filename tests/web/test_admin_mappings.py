"""``/v1/admin/mappings`` over a real store."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mbusgw.store.mappings import Mappings
from mbusgw.store.writer import Store
from mbusgw.web.mappings import PATH, MappingRoutes
from mbusgw.web.message import Request
from mbusgw.web.router import Router
from tests.fakes.clock import FakeClock
from tests.fakes.stores import rows, running_store, write

HEAT = {"comment": "MC603", "filter": {"formatSignature": "7869", "manafacture": "KAM"}, "heat": {"currentValueIdx": 0}}
WATER = {"filter": {"type": "07"}, "water": {"currentValueIdx": 1}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with running_store(tmp_path / "x.db") as store:
        yield store


@pytest.fixture
def mappings(store: Store, clock: FakeClock) -> Mappings:
    return Mappings(store, clock)


class Admin:
    """Asks the routes as a client does."""

    def __init__(self, mappings: Mappings, *, file: Path | None = None, token: str | None = None) -> None:
        self._router = Router(MappingRoutes(mappings, file, token).routes())

    def __call__(
        self, method: str, path: str = "", body: object = None, *, peer: str = "127.0.0.1", **query: str
    ) -> tuple[int, Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        answer = self._router.answer(Request(method, PATH + path, query, {"host": "localhost"}, raw, peer))
        return answer.status, json.loads(answer.body)

    def put(self, *mappings: object, **query: str) -> tuple[int, Any]:
        return self("PUT", "/active", {"mappings": mappings}, **query)


@pytest.fixture
def admin(mappings: Mappings) -> Admin:
    return Admin(mappings)


def in_force(mappings: Mappings) -> Any:
    body = mappings.body()
    return None if body is None else json.loads(body)["mappings"]


def test_without_any_the_services_own_are_in_force(admin: Admin, mappings: Mappings) -> None:
    assert admin("GET", "/active") == (200, {"source": None, "mappings": None})
    assert in_force(mappings) is None and admin("GET")[1]["versions"] == []


def test_a_new_version_is_in_force_at_once_and_the_old_one_can_be_put_back(admin: Admin, mappings: Mappings) -> None:
    status, first = admin.put(HEAT)
    assert status == 200 and (first["version"], first["active"], first["source"]) == (1, True, "table")
    assert in_force(mappings) == [HEAT]
    assert admin.put(HEAT, WATER)[1]["version"] == 2
    assert in_force(mappings) == [HEAT, WATER]
    versions = admin("GET")[1]["versions"]
    assert [(one["version"], one["active"]) for one in versions] == [(2, True), (1, False)]

    status, again = admin("POST", f"/{first['id']}/activate")
    assert status == 200 and again["active"] is True
    assert in_force(mappings) == [HEAT]
    assert admin("GET", "/active")[1]["mappings"] == [HEAT]
    assert admin("GET", f"/{versions[0]['id']}")[1]["mappings"] == [HEAT, WATER], "the other one stays"


def test_the_same_mapping_again_makes_no_new_version(admin: Admin) -> None:
    first = admin.put(HEAT)[1]
    admin.put(WATER)
    assert admin.put(HEAT)[1]["id"] == first["id"]
    shown = admin("GET", "/active")[1]
    assert admin("PUT", "/active", shown)[1]["id"] == first["id"], "what was shown can be sent back"
    assert [one["active"] for one in admin("GET")[1]["versions"]] == [False, True]


def test_everything_that_is_wrong_is_told_at_once_and_nothing_changes(admin: Admin, mappings: Mappings) -> None:
    admin.put(HEAT)
    bad = {"filter": {"manufacturer": "KAM"}, "heat": {"currentValueIdx": "0", "volumeIdx": -1}}
    status, answer = admin.put(HEAT, bad, HEAT, 5)
    assert status == 400 and answer["error"] == "bad_mapping"
    assert [problem["field"] for problem in answer["problems"]] == [
        "mappings[1].filter.manufacturer",
        "mappings[1].heat.currentValueIdx",
        "mappings[1].heat.volumeIdx",
        "mappings[3]",
        "mappings[2].filter",
    ]
    assert in_force(mappings) == [HEAT] and len(admin("GET")[1]["versions"]) == 1


def test_an_unknown_category_is_refused_unless_forced(admin: Admin, mappings: Mappings) -> None:
    odd = {"filter": {}, "heet": {"currentValueIdx": 0}}
    status, answer = admin.put(odd)
    assert status == 400 and "did you mean `heat`?" in answer["problems"][0]["message"]
    assert admin.put(odd, force="true")[0] == 200
    assert in_force(mappings) == [odd]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"mappings":{}}', b"[" * 5000, b"\xff"])
def test_what_is_no_mapping_is_refused(admin: Admin, body: bytes) -> None:
    assert admin("PUT", "/active", body)[0] == 400


@pytest.mark.parametrize("number", ["0", "99", "x", "9" * 30, "-1"])
def test_a_version_that_is_not_there_is_told(admin: Admin, number: str) -> None:
    assert admin("GET", f"/{number}")[0] == 404
    assert admin("POST", f"/{number}/activate")[0] == 404


def test_a_row_that_others_make_active_is_noticed(
    admin: Admin, mappings: Mappings, store: Store, clock: FakeClock
) -> None:
    admin.put(HEAT)
    assert in_force(mappings) == [HEAT]
    text = json.dumps({"mappings": [WATER]})
    write(
        store,
        lambda connection: connection.execute("UPDATE domain_mappings SET active = 0"),
        lambda connection: connection.execute(
            "INSERT INTO domain_mappings (json, version, active) VALUES (?, 7, 1)", (text,)
        ),
    )
    clock.advance(10)
    assert in_force(mappings) == [WATER]
    assert rows(store, "SELECT version FROM domain_mappings WHERE active") == [(7,)]


def test_a_file_of_the_configuration_is_in_force_and_cannot_be_changed_here(
    mappings: Mappings, tmp_path: Path
) -> None:
    file = tmp_path / "domainMappings.json"
    file.write_text(json.dumps({"mappings": [HEAT]}))
    admin = Admin(mappings, file=file)
    assert admin("GET", "/active")[1] == {"source": "file", "file": str(file), "mappings": [HEAT]}
    assert admin("GET")[1] == {"file": str(file), "versions": []}
    for status, answer in (admin.put(WATER), admin("POST", "/1/activate")):
        assert status == 409 and str(file) in answer["message"]
    file.write_text("{")
    assert "is not JSON" in admin("GET", "/active")[1]["problem"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/active"), ("PUT", "/active"), ("GET", "/1"), ("POST", "/1/activate")],
)
def test_only_administrators_may(mappings: Mappings, method: str, path: str) -> None:
    assert Admin(mappings)(method, path, peer="192.0.2.7")[0] == 403
    assert Admin(mappings, token="secret")(method, path)[0] == 401
