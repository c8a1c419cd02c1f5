"""Radio telegrams as they arrive: how they are kept, and which are duplicates."""
from __future__ import annotations

import pytest

from mbusgw.model.submission import Accepted
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.store import arrivals
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from tests.fakes.clock import START
from tests.fakes.stores import rows, write
from tests.fakes.telegrams import received
from tests.store.steps import KEY, WINDOW_S, after, insert, load, settle


# ------------------------------------------------------------------ what is kept
def test_a_telegram_comes_back_as_it_was_received(store: Store) -> None:
    telegram = received(key=KEY, hint_meter_id="12345678", at=after(0.123))
    assert insert(store, telegram) == Accepted("t1")
    assert load(store) == (telegram, 0)
    assert load(store, "nobody") is None


def test_a_telegram_without_anything_optional_comes_back_too(store: Store) -> None:
    telegram = ReceivedTelegram("t1", "gw1", b"\x14" * 20, START, START)
    insert(store, telegram)
    assert load(store) == (telegram, 0)


def test_outsiders_find_the_columns_in_the_documented_form(store: Store) -> None:
    insert(store, received(raw=b"\xab\xcd" * 10))
    query = "SELECT gateway_id, rx_time, rssi, raw_hex, status, created_at FROM telegrams"
    assert rows(store, query) == [
        ("gw1", "2026-03-01T12:00:00.000Z", -71.5, "ABCD" * 10, "received", "2026-03-01T12:00:00.000Z")
    ]


# ------------------------------------------------------------------ duplicates
def test_the_same_telegram_within_the_window_is_a_duplicate_of_the_first(store: Store) -> None:
    insert(store, received("t1"))
    assert insert(store, received("t2", at=after(100))) == Accepted("t2", duplicate_of="t1")
    assert insert(store, received("t3", at=after(300))).duplicate
    assert rows(store, "SELECT ingest_id, status, duplicate_of FROM telegrams ORDER BY ingest_id") == [
        ("t1", "received", None),
        ("t2", "duplicate", "t1"),
        ("t3", "duplicate", "t1"),
    ]
    assert store.count("backlog") == 1


def test_after_the_window_the_same_telegram_is_legitimate(store: Store) -> None:
    insert(store, received("t1"))
    assert insert(store, received("t2", at=after(299))).duplicate
    assert not insert(store, received("t3", at=after(300.001))).duplicate, "a duplicate does not renew the window"


def test_another_telegram_is_no_duplicate(store: Store) -> None:
    insert(store, received("t1"))
    assert not insert(store, received("t2", raw=bytes(24))).duplicate


def test_the_same_telegram_through_another_gateway_is_kept_as_a_duplicate(store: Store) -> None:
    insert(store, received("t1"))
    assert insert(store, received("t2", gateway_id="gw2", at=after(1))) == Accepted("t2", duplicate_of="t1")
    assert rows(store, "SELECT gateway_id, rssi, duplicate_of FROM telegrams ORDER BY ingest_id") == [
        ("gw1", -71.5, None),
        ("gw2", -71.5, "t1"),
    ]


def test_without_a_window_nothing_is_a_duplicate(store: Store) -> None:
    insert(store, received("t1"), None)
    assert not insert(store, received("t2"), None).duplicate


def test_a_duplicate_within_one_batch_is_found(store: Store) -> None:
    accepted = write(
        store,
        lambda connection: arrivals.insert(connection, [received("t1")], dedup_window_s=WINDOW_S),
        lambda connection: arrivals.insert(connection, [received("t2")], dedup_window_s=WINDOW_S),
    )
    assert [answer.duplicate for (answer,) in accepted] == [False, True]


@pytest.mark.parametrize("unread", [Status.KEY_MISSING, Status.FAILED])
def test_the_same_telegram_with_a_key_is_read_when_the_first_could_not_be(store: Store, unread: str) -> None:
    insert(store, received("t1"))
    settle(store, "t1", unread)
    assert insert(store, received("t2", at=after(5))).duplicate
    assert not insert(store, received("t3", at=after(10), key=KEY)).duplicate
    assert insert(store, received("t4", at=after(15), key=KEY)).duplicate, "of the one that has the key"
    found = load(store, "t3")
    assert found and found[0].key == KEY


def test_after_the_clock_was_set_back_the_same_telegram_is_not_a_duplicate_for_days(store: Store) -> None:
    insert(store, received("t1", at=after(86_400)))
    assert not insert(store, received("t2", at=START)).duplicate
    assert insert(store, received("t3", at=after(1))).duplicate


def test_the_key_of_a_duplicate_is_kept_no_longer_than_the_first_waits(store: Store) -> None:
    insert(store, received("t1", key=KEY))
    insert(store, received("t2", key=KEY))
    settle(store, "t1", Status.DEFERRED, at=after(9))
    kept = "SELECT ingest_id FROM telegrams WHERE key_hex IS NOT NULL"
    assert rows(store, kept) == [("t1",), ("t2",)], "it may have to stand for the first"
    settle(store, "t1", Status.PARSED)
    insert(store, received("t3", key=KEY))
    assert rows(store, kept) == []
