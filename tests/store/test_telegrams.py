"""Radio telegrams on disk: duplicates, what is due, outcomes, late keys, retention."""
from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from mbusgw.model.errors import StoreError
from mbusgw.model.submission import Accepted
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.store import outbox, retention, telegrams
from mbusgw.store.retention import TELEGRAMS
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from tests.fakes.clock import START
from tests.fakes.stores import one, rows, write
from tests.fakes.telegrams import received

KEY = bytes(range(16))
WINDOW_S = 300.0


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def insert(store: Store, telegram: ReceivedTelegram, window_s: float | None = WINDOW_S) -> Accepted:
    ((accepted,),) = write(store, lambda connection: telegrams.insert(connection, [telegram], dedup_window_s=window_s))
    assert isinstance(accepted, Accepted)
    return accepted


def due(store: Store, now: datetime | None = START, limit: int = 100) -> list[str]:
    reader = store.reader()
    try:
        return telegrams.due(reader, now, limit)
    finally:
        reader.close()


def load(store: Store, ingest_id: str = "t1") -> tuple[ReceivedTelegram, int] | None:
    reader = store.reader()
    try:
        return telegrams.load(reader, ingest_id)
    finally:
        reader.close()


def status(store: Store, ingest_id: str = "t1") -> str:
    return str(one(store, "SELECT status FROM telegrams WHERE ingest_id = ?", ingest_id))


def settle(store: Store, ingest_id: str, state: str, meter_id: str | None = None, at: datetime | None = None) -> None:
    write(store, telegrams.settle(ingest_id, state, meter_id=meter_id, retry_at=at))


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
        lambda connection: telegrams.insert(connection, [received("t1")], dedup_window_s=WINDOW_S),
        lambda connection: telegrams.insert(connection, [received("t2")], dedup_window_s=WINDOW_S),
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


# ------------------------------------------------------------------ what is due
def test_received_telegrams_are_due_oldest_first(store: Store) -> None:
    for number in (3, 1, 2):
        insert(store, received(f"t{number}", raw=bytes([number]) * 20))
    assert due(store) == ["t3", "t1", "t2"]
    assert due(store, limit=2) == ["t3", "t1"]


def test_a_deferred_telegram_is_due_when_its_time_has_come(store: Store) -> None:
    insert(store, received("t1"))
    settle(store, "t1", Status.DEFERRED, at=after(15))
    assert due(store, after(14.9)) == []
    assert due(store, after(15)) == ["t1"]


def test_all_deferred_are_due_when_no_time_is_given(store: Store) -> None:
    for number in (1, 2):
        insert(store, received(f"t{number}", raw=bytes([number]) * 20))
        settle(store, f"t{number}", Status.DEFERRED, at=after(1000 - number))
    assert due(store, None) == ["t2", "t1"]


def test_a_retry_in_a_far_future_is_the_mark_of_a_clock_set_back_and_is_due(store: Store) -> None:
    insert(store, received("t1"))
    settle(store, "t1", Status.DEFERRED, at=after(86_400 * 365))
    assert due(store) == ["t1"]


@pytest.mark.parametrize("state", [Status.PARSED, Status.KEY_MISSING, Status.FAILED])
def test_what_is_settled_is_not_due(store: Store, state: str) -> None:
    insert(store, received("t1"))
    settle(store, "t1", state)
    assert due(store, None) == []
    assert store.count("backlog") == 0


# ------------------------------------------------------------------ outcomes
def test_each_try_is_counted(store: Store) -> None:
    insert(store, received())
    settle(store, "t1", Status.DEFERRED, at=START)
    settle(store, "t1", Status.DEFERRED, at=START)
    found = load(store)
    assert found and found[1] == 2
    settle(store, "t1", Status.PARSED, meter_id="12345678")
    assert rows(store, "SELECT status, attempts, meter_id, retry_at, reason FROM telegrams") == [
        ("parsed", 3, "12345678", None, None)
    ]


def test_the_key_of_the_request_is_forgotten_as_soon_as_it_is_not_needed(store: Store) -> None:
    insert(store, received(key=KEY))
    settle(store, "t1", Status.DEFERRED, at=START)
    found = load(store)
    assert found and found[0].key == KEY, "the next try needs it"
    settle(store, "t1", Status.PARSED)
    assert one(store, "SELECT key_hex FROM telegrams") is None


def test_an_outcome_that_comes_twice_is_undone_with_all_it_says(store: Store) -> None:
    insert(store, received())
    message = outbox.Message("reading", "{}", retain=False, ingest_id="t1")
    unit = (telegrams.settle("t1", Status.PARSED, meter_id=None), outbox.enqueue([message], START))
    write(store, *unit)
    with pytest.raises(StoreError, match="settled already"):
        write(store, *unit)
    assert store.count("outbox") == 1


def test_a_later_answer_of_the_parser_replaces_the_earlier_one(store: Store) -> None:
    insert(store, received())
    write(store, telegrams.keep_result("t1", '{"a":1}'))
    write(store, telegrams.keep_result("t1", '{"a":2}'))
    reader = store.reader()
    assert telegrams.outcome(reader, "t1") == ("received", None, '{"a":2}')
    assert telegrams.outcome(reader, "nobody") is None
    reader.close()


# ------------------------------------------------------------------ retention
def forget(store: Store, before: datetime, limit: int = 100) -> int:
    """Deletes what came before; says how many."""
    reader = store.reader()
    last = retention.last_before(reader, TELEGRAMS, before, before)
    reader.close()
    if last is None:
        return 0
    (done,) = write(store, lambda connection: retention.forget(connection, TELEGRAMS, last, limit))
    return int(done[0])


def test_only_what_waits_for_nobody_is_deleted(store: Store) -> None:
    states = [Status.RECEIVED, Status.DEFERRED, Status.KEY_MISSING, Status.PARSED, Status.FAILED]
    for number, state in enumerate(states):
        insert(store, received(f"t{number}", raw=bytes([number]) * 20))
        if state != Status.RECEIVED:
            settle(store, f"t{number}", state, at=after(9))
    insert(store, received("t9", raw=bytes([4]) * 20))
    count = forget(store, after(1))
    assert count == 3
    left = [row[0] for row in rows(store, "SELECT status FROM telegrams ORDER BY ingest_id")]
    assert left == [Status.RECEIVED, Status.DEFERRED, Status.PARSED]
    assert store.count("backlog") == 2


def test_what_is_young_is_kept_and_no_more_than_asked_is_deleted(store: Store) -> None:
    for number in range(5):
        insert(store, received(f"t{number}", raw=bytes([number]) * 20, at=after(number)))
        settle(store, f"t{number}", Status.FAILED)
    count = forget(store, after(3), 2)
    assert count == 2
    count = forget(store, after(3), 2)
    assert count == 1
    assert [row[0] for row in rows(store, "SELECT ingest_id FROM telegrams ORDER BY 1")] == ["t3", "t4"]


def test_a_result_goes_with_its_telegram(store: Store) -> None:
    insert(store, received())
    write(store, telegrams.keep_result("t1", "{}"), telegrams.settle("t1", Status.FAILED, meter_id=None))
    forget(store, after(1))
    assert rows(store, "SELECT * FROM parse_results") == []
