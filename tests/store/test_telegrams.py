"""Radio telegrams on disk: what is due, outcomes, retention."""
from __future__ import annotations

from datetime import datetime

import pytest

from mbusgw.model.errors import StoreError
from mbusgw.store import outbox, retention, telegrams
from mbusgw.store.retention import TELEGRAMS
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from tests.fakes.clock import START
from tests.fakes.stores import one, rows, write
from tests.fakes.telegrams import received
from tests.store.steps import KEY, after, insert, load, settle


def due(store: Store, now: datetime | None = START, limit: int = 100) -> list[str]:
    reader = store.reader()
    try:
        return telegrams.due(reader, now, limit)
    finally:
        reader.close()


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
