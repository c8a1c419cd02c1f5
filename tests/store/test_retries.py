"""Which telegrams are parsed again when a key arrives."""
from __future__ import annotations

import pytest

from mbusgw.store import arrivals, retries, telegrams
from mbusgw.store.keys import Who
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from tests.fakes.clock import START
from tests.fakes.stores import one, rows, write
from tests.fakes.telegrams import received

_FAILED = "SEARCH telegrams USING INDEX telegrams_failed"


def waiting(
    store: Store,
    ingest_id: str = "t1",
    *,
    status: str = Status.KEY_MISSING,
    meter_id: str | None = "12345678",
    manufacturer: str | None = "ELS",
    reason: str = "KeyMissing: no key",
    hint: str | None = None,
    raw: bytes = bytes(24),
) -> None:
    telegram = received(ingest_id, raw=raw, hint_meter_id=hint)
    write(
        store,
        lambda connection: arrivals.insert(connection, [telegram], dedup_window_s=None),
        telegrams.settle(
            ingest_id, status, meter_id=meter_id, manufacturer=manufacturer, reason=reason, retry_at=START
        ),
    )


def arrive(store: Store, *changed: Who) -> list[str]:
    (found,) = write(store, lambda connection: retries.keys_changed(connection, changed))
    assert isinstance(found, list)
    return found


def test_when_a_key_arrives_all_that_waited_for_it_are_due_again(store: Store) -> None:
    for number, meter_id in enumerate(["1234567A", "1234567A", "99999999"]):
        waiting(store, f"t{number}", meter_id=meter_id)
    assert sorted(arrive(store, ("1234567A", None))) == ["t0", "t1"]
    assert store.count("backlog") == 2
    assert arrive(store, ("1234567A", None)) == []
    assert rows(store, "SELECT ingest_id, status, reason FROM telegrams ORDER BY 1") == [
        ("t0", "received", None), ("t1", "received", None), ("t2", "key_missing", "KeyMissing: no key"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "moved"), [("ELS", True), (None, True), ("LUG", False)]
)
def test_a_key_of_another_maker_moves_nothing(store: Store, key: str | None, moved: bool) -> None:
    waiting(store)
    assert bool(arrive(store, ("12345678", key))) is moved


def test_a_telegram_whose_maker_was_not_noted_is_tried_with_any(store: Store) -> None:
    waiting(store, manufacturer=None)
    assert arrive(store, ("12345678", "LUG")) == ["t1"]


def test_a_key_stored_under_the_number_of_the_hint_arrives_too(store: Store) -> None:
    waiting(store, hint="0000ABCD")
    assert arrive(store, ("0000ABCD", "LUG")) == [], "the hint says ELS"
    assert arrive(store, ("0000ABCD", "ELS")) == ["t1"]


def test_a_makers_default_moves_all_its_meters_also_those_of_before_makers_were_noted(store: Store) -> None:
    waiting(store, "t1", meter_id="00000001")
    waiting(store, "t2", meter_id="00000002", manufacturer=None, raw=bytes.fromhex("2e449315") + bytes(20))
    waiting(store, "t3", meter_id="00000003", manufacturer="LUG")
    waiting(store, "t4", meter_id="00000004", manufacturer=None)
    assert sorted(arrive(store, ("*", "ELS"))) == ["t1", "t2"]


@pytest.mark.parametrize("hint", [None, "87654321"])
def test_what_failed_with_a_wrong_key_is_tried_with_the_right_one(store: Store, hint: str | None) -> None:
    meter_id = hint or "12345678"
    own = "12345678" if hint is None else "00000000"
    waiting(store, status=Status.FAILED, meter_id=own, reason="KeyWrong: it is not this meter's", hint=hint)
    assert arrive(store, (meter_id, "ELS")) == ["t1"]
    assert one(store, "SELECT status FROM telegrams") == Status.RECEIVED


@pytest.mark.parametrize("reason", ["FormatUnknown: wrong CRC", "KeyWrongly: no", "KeyMissing: x"])
def test_what_failed_for_another_reason_is_left_alone(store: Store, reason: str) -> None:
    waiting(store, status=Status.FAILED, reason=reason)
    assert arrive(store, ("12345678", None), ("*", "ELS")) == []


@pytest.mark.parametrize("other", [Status.PARSED, Status.DEFERRED])
def test_a_key_moves_only_those_that_wait_for_one(store: Store, other: str) -> None:
    waiting(store, status=other, reason="KeyWrong: x")
    assert arrive(store, ("12345678", None)) == []


@pytest.mark.slow
def test_fifty_thousand_keys_may_arrive_at_once(store: Store) -> None:
    waiting(store, meter_id="00049999")
    assert arrive(store, *[(f"{number:08d}", "ELS") for number in range(50_000)]) == ["t1"]
    assert arrive(store) == []


@pytest.mark.parametrize("statement", [*retries._OF_METER])
def test_what_a_key_moves_is_found_by_an_index_of_what_waits(store: Store, statement: str) -> None:
    plan = rows(store, f"EXPLAIN QUERY PLAN {statement}", "12345678", "ELS")
    assert all(row[3].startswith(("SEARCH telegrams USING INDEX telegrams_keyless", _FAILED)) for row in plan), plan


@pytest.mark.parametrize("statement", [*retries._OF_MAKER])
def test_a_makers_key_does_not_look_at_what_was_read(store: Store, statement: str) -> None:
    plan = rows(store, f"EXPLAIN QUERY PLAN {statement}", "ELS", "9315")
    assert all(row[3].startswith("SCAN telegrams USING INDEX telegrams_") for row in plan), plan
