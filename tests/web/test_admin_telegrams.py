"""``/v1/admin/telegrams`` over a real store."""
from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mbusgw.store import arrivals, telegrams
from mbusgw.store.replays import Telegrams
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from mbusgw.web.archive import PATH, ArchiveRoutes
from mbusgw.web.message import Request
from mbusgw.web.router import Router
from tests.fakes.clock import START
from tests.fakes.stores import one, running_store, write
from tests.fakes.telegrams import received


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with running_store(tmp_path / "x.db") as store:
        yield store


class Admin:
    """Asks the routes as a client does; what is rung and counted is kept."""

    def __init__(self, store: Store, *, max_backlog: int = 100, token: str | None = None) -> None:
        self.rung: list[str] = []
        self.counted: list[str] = []
        self.store = store
        desk = Telegrams(store, max_backlog=max_backlog, ring=self.rung.extend, count=self.counted.append)
        self._router = Router(ArchiveRoutes(desk, token).routes())

    def __call__(
        self, method: str, path: str = "", body: object = None, *, peer: str = "127.0.0.1", **query: str
    ) -> tuple[int, Any]:
        raw = json.dumps(body).encode() if body is not None else b""
        answer = self._router.answer(Request(method, PATH + path, query, {"host": "localhost"}, raw, peer))
        return answer.status, json.loads(answer.body)

    def ids(self, **query: str) -> list[str]:
        status, answer = self("GET", **query)
        assert status == 200, answer
        return [telegram["ingest_id"] for telegram in answer["telegrams"]]

    def add(self, ingest_id: str, state: str | None = None, *, gateway: str = "gw1", hours: float = 0) -> None:
        raw = ingest_id.encode() * 10
        telegram = received(ingest_id, gateway_id=gateway, raw=raw, at=START + timedelta(hours=hours))
        write(self.store, lambda connection: arrivals.insert(connection, [telegram], dedup_window_s=300))
        if state is not None:
            meter = f"1234567{ingest_id[-1]}"
            write(
                self.store,
                telegrams.settle(
                    ingest_id, state, meter_id=meter, manufacturer="ELS", reason="why", retry_at=START
                ),
            )


@pytest.fixture
def admin(store: Store) -> Admin:
    admin = Admin(store)
    admin.add("t1", Status.FAILED)
    admin.add("t2", Status.KEY_MISSING, hours=1)
    admin.add("t3", Status.DEFERRED, gateway="gw2", hours=2)
    admin.add("t4", Status.PARSED, hours=3)
    admin.add("t5", hours=4)
    admin.add("t6", Status.PARSED, hours=5)
    write(store, lambda c: c.execute("UPDATE telegrams SET status = 'published' WHERE ingest_id = 't6'"))
    return admin


# ------------------------------------------------------------------ looking
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["t6", "t5", "t4", "t3", "t2", "t1"]),
        ({"status": "failed"}, ["t1"]),
        ({"status": "failed,key_missing"}, ["t2", "t1"]),
        ({"meter": "12345672"}, ["t2"]),
        ({"meter": "els_12345672"}, ["t2"]),
        ({"meter": "lug_12345672"}, []),
        ({"gateway": "gw2"}, ["t3"]),
        ({"since": "2026-03-01T14:00:00Z"}, ["t6", "t5", "t4", "t3"]),
        ({"since": "2026-03-01T16:00:00 01:00"}, ["t6", "t5", "t4"]),
        ({"until": "2026-03-01T13:00:00Z"}, ["t1"]),
        ({"since": "2026-03-01T13:00:00", "until": "2026-03-01T15:00:00", "gateway": "gw1"}, ["t2"]),
    ],
)
def test_telegrams_are_found_newest_first(admin: Admin, query: dict[str, str], found: list[str]) -> None:
    assert admin.ids(**query) == found


def test_a_telegram_tells_all_about_itself(admin: Admin) -> None:
    (telegram,) = admin("GET", status="deferred")[1]["telegrams"]
    assert telegram == {
        "ingest_id": "t3",
        "gateway_id": "gw2",
        "status": "deferred",
        "reason": "why",
        "tries": 1,
        "retry_at": "2026-03-01T12:00:00.000Z",
        "meter_id": "12345673",
        "manufacturer": "ELS",
        "rx_time": "2026-03-01T14:00:00.000Z",
        "created_at": "2026-03-01T14:00:00.000Z",
        "rssi_dbm": -71.5,
        "mode": "T1",
        "raw_hex": (b"t3" * 10).hex().upper(),
        "duplicate_of": None,
        "receptions": [
            {"ingest_id": "t3", "gateway_id": "gw2", "rx_time": "2026-03-01T14:00:00.000Z", "rssi_dbm": -71.5}
        ],
    }


def test_a_telegram_and_its_duplicates_name_all_receptions(admin: Admin, store: Store) -> None:
    again = received("t1b", raw=b"t1" * 10, at=START + timedelta(seconds=5))
    other = received("t5b", raw=b"t5" * 10, at=START + timedelta(hours=4, seconds=5))
    for telegram in (again, other):
        write(store, lambda connection, one=telegram: arrivals.insert(connection, [one], dedup_window_s=300))
    for ingest_id in ("t5", "t5b"):
        heard = admin("GET", f"/{ingest_id}")[1]["receptions"]
        assert [reception["ingest_id"] for reception in heard] == ["t5", "t5b"]


def test_one_telegram_is_shown_with_its_result(admin: Admin, store: Store) -> None:
    write(store, telegrams.keep_result("t6", '{"reading":{"volume":28504.27}}'))
    assert admin("GET", "/t6")[1]["result"] == {"reading": {"volume": 28504.27}}
    assert admin("GET", "/t1")[1]["result"] is None
    assert admin("GET", "/nobody")[0] == 404


def test_pages_follow_each_other_without_gap_or_overlap(admin: Admin) -> None:
    found, cursor = [], ""
    for _ in range(10):
        page = admin("GET", limit="2", **({"cursor": cursor} if cursor else {}))[1]
        found += [telegram["ingest_id"] for telegram in page["telegrams"]]
        if page["next"] is None:
            break
        cursor = page["next"]
        if len(found) == 2:
            admin.add("t7", hours=9)  # what comes meanwhile is no part of it
    assert found == ["t6", "t5", "t4", "t3", "t2", "t1"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "lost"}, "status"),
        ({"meter": "123"}, "meter"),
        ({"meter": "e_12345678"}, "manufacturer"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2026-13-01T00:00:00"}, "until"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "9" * 30}, "cursor"),
        ({"limit": "0" * 18 + "1000000"}, "limit"),
        ({"limit": "1" * 5000}, "limit"),
        ({"cursor": "0" * 18 + "1" * 5000}, "cursor"),
        ({"stauts": "failed"}, "stauts"),
    ],
)
def test_a_filter_that_is_wrong_is_named(admin: Admin, query: dict[str, str], field: str) -> None:
    status, answer = admin("GET", "", None, **query)
    assert status == 400 and answer["field"] == field


# ------------------------------------------------------------------ running again
@pytest.mark.parametrize(
    ("body", "moved"),
    [
        ({"status": "failed"}, ["t1"]),
        ({"status": ["failed", "deferred"]}, ["t1", "t3"]),
        ({"gateway": "gw1"}, ["t1", "t2"]),
        ({"meter": "12345672"}, ["t2"]),
        ({"since": "2026-03-01T00:00:00Z"}, ["t1", "t2", "t3"]),
        ({"status": "published"}, ["t6"]),
        ({"ingest_ids": ["t6", "t1", "nobody"]}, ["t1", "t6"]),
        ({"ingest_ids": ["t4", "t5"]}, []),
    ],
)
def test_what_fits_is_parsed_again_what_was_read_only_when_it_is_named(
    admin: Admin, store: Store, body: object, moved: list[str]
) -> None:
    assert admin("POST", "/replay", body) == (202, {"replayed": len(moved), "more": False})
    assert sorted(admin.rung) == moved and len(admin.counted) == len(moved)
    for ingest_id in moved:
        assert one(store, "SELECT status FROM telegrams WHERE ingest_id = ?", ingest_id) == Status.RECEIVED
        assert one(store, "SELECT reason FROM telegrams WHERE ingest_id = ?", ingest_id) is None


def test_who_asks_again_gets_the_next_ones_and_not_those_that_failed_again(store: Store) -> None:
    admin = Admin(store)
    for number in range(4):
        admin.add(f"t{number}", Status.FAILED)
    for expected in (["t0", "t1"], ["t2", "t3"], ["t0", "t1"]):
        admin.rung.clear()
        admin("POST", "/replay", {"status": "failed", "limit": 2})
        assert sorted(admin.rung) == expected
        for ingest_id in admin.rung:
            write(store, telegrams.settle(ingest_id, Status.FAILED, meter_id=None))


def test_no_more_is_replayed_than_asked_or_than_the_backlog_holds(store: Store) -> None:
    admin = Admin(store, max_backlog=3)
    for number in range(5):
        admin.add(f"t{number}", Status.FAILED)
    assert admin("POST", "/replay", {"status": "failed", "limit": 1})[1] == {"replayed": 1, "more": True}
    assert admin("POST", "/replay", {"status": "failed"})[1] == {"replayed": 2, "more": True}
    assert sorted(admin.rung) == ["t0", "t1", "t2"], "the oldest first"
    assert admin("POST", "/replay", {"status": "failed"})[1] == {"replayed": 0, "more": True}
    assert store.count("backlog") == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, None),
        ({"status": "duplicate"}, "status"),
        ({"status": "received"}, "status"),
        ({"status": 5}, "status"),
        ({"status": [5]}, "status"),
        ({"gateway": 5}, "gateway"),
        ({"since": 5}, "since"),
        ({"ingest_ids": "t1"}, "ingest_ids"),
        ({"ingest_ids": []}, "ingest_ids"),
        ({"limit": 0}, "limit"),
        ({"limit": 1e99}, "limit"),
        ({"gatway": "gw1"}, "gatway"),
        ([], None),
    ],
)
def test_a_replay_that_is_not_understood_moves_nothing(admin: Admin, body: object, field: str | None) -> None:
    status, answer = admin("POST", "/replay", body)
    assert status == 400 and answer.get("field") == field
    assert admin.rung == []


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/t1"), ("POST", "/replay")])
def test_only_administrators_may(store: Store, method: str, path: str) -> None:
    assert Admin(store)(method, path, peer="192.0.2.7")[0] == 403
    assert Admin(store, token="secret")(method, path)[0] == 401
