"""Messages between store and broker."""
from __future__ import annotations

from datetime import timedelta

import pytest

from mbusgw.store import arrivals, outbox, telegrams
from mbusgw.store.outbox import Message
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from tests.fakes.clock import START
from tests.fakes.stores import one, rows, write
from tests.fakes.telegrams import received


def put(store: Store, *messages: Message) -> None:
    write(store, outbox.enqueue(messages, START))


def waiting(store: Store, last_id: int = 0, limit: int = 100) -> list[outbox.Waiting]:
    reader = store.reader()
    try:
        return outbox.after(reader, last_id, limit)
    finally:
        reader.close()


def ids(store: Store, ingest_id: str | None = None) -> list[int]:
    if ingest_id is None:
        return [message.id for message in waiting(store)]
    return [row[0] for row in rows(store, "SELECT id FROM mqtt_queue WHERE ingest_id = ? ORDER BY id", ingest_id)]


def telemetry(topic: str, ingest_id: str | None = None) -> Message:
    return Message(topic, "{}", retain=False, ingest_id=ingest_id)


def state(topic: str, payload: str) -> Message:
    return Message(topic, payload, retain=True)


def status(store: Store, ingest_id: str = "t1") -> str:
    return str(one(store, "SELECT status FROM telegrams WHERE ingest_id = ?", ingest_id))


def parsed(store: Store, *topics: str) -> None:
    """A telegram that is parsed, with a message on each of ``topics``."""
    write(
        store,
        lambda connection: arrivals.insert(connection, [received()], dedup_window_s=None),
        telegrams.keep_result("t1", "{}"),
        telegrams.settle("t1", Status.PARSED, meter_id="12345678"),
        outbox.enqueue([telemetry(topic, "t1") for topic in topics], START),
    )


# ------------------------------------------------------------------ order
def test_messages_come_out_in_the_order_they_went_in(store: Store) -> None:
    put(store, telemetry("b"), state("a", "1"))
    put(store, telemetry("c"), telemetry("a"))
    assert [message.topic for message in waiting(store)] == ["b", "a", "c", "a"]


def test_after_gives_a_page_at_a_time(store: Store) -> None:
    put(store, *[telemetry(str(number)) for number in range(5)])
    first = waiting(store, 0, 2)
    second = waiting(store, first[-1].id, 2)
    assert [message.topic for message in first + second] == ["0", "1", "2", "3"]


def test_a_message_comes_back_as_it_was_put(store: Store) -> None:
    put(store, state("mbus/zähler/power", "1.5"), telemetry("oms/x"))
    assert [(m.topic, m.payload, m.retain) for m in waiting(store)] == [
        ("mbus/zähler/power", "1.5", True),
        ("oms/x", "{}", False),
    ]


# ------------------------------------------------------------------ coalescing
def test_a_retained_topic_keeps_only_its_newest_value_at_the_newest_place(store: Store) -> None:
    put(store, state("power", "1"), state("energy", "7"), telemetry("raw"))
    put(store, state("power", "2"))
    put(store, state("power", "3"))
    assert [(m.topic, m.payload) for m in waiting(store)] == [("energy", "7"), ("raw", "{}"), ("power", "3")]
    assert (store.count("outbox"), store.count("telemetry")) == (3, 1)


def test_telemetry_is_never_coalesced(store: Store) -> None:
    put(store, telemetry("raw"), telemetry("raw"), telemetry("raw"))
    assert len(ids(store)) == 3


def test_a_retained_value_does_not_touch_telemetry_on_the_same_topic(store: Store) -> None:
    put(store, telemetry("x"), state("x", "1"), state("x", "2"))
    assert [(m.retain, m.payload) for m in waiting(store)] == [(False, "{}"), (True, "2")]


def test_a_replaced_row_that_is_acknowledged_late_takes_the_new_one_not_along(store: Store) -> None:
    put(store, state("power", "1"))
    (under_way,) = ids(store)
    put(store, state("power", "2"))
    write(store, outbox.acknowledged([under_way], START))
    assert [m.payload for m in waiting(store)] == ["2"]


# ------------------------------------------------------------------ what is missed
def told(topic: str, payload: str, *, spare: bool = True) -> Message:
    """A state that has with it what is said of it when it is missed."""
    return Message(topic, payload, retain=True, missed=Message(f"{topic}/missed", payload, retain=False, spare=spare))


def lines(store: Store) -> list[tuple[str, str]]:
    return [(message.topic, message.payload) for message in waiting(store)]


def test_what_is_replaced_before_it_was_taken_is_missed_and_goes_before_the_newer_one(store: Store) -> None:
    put(store, told("a", "1"))
    put(store, told("a", "2"), told("b", "1"))
    put(store, told("a", "3"))
    assert lines(store) == [("a/missed", "1"), ("b", "1"), ("a/missed", "2"), ("a", "3")]
    assert (store.count("telemetry"), store.count("spare")) == (2, 2)


def test_what_the_broker_took_is_not_missed(store: Store) -> None:
    put(store, told("a", "1"))
    write(store, outbox.acknowledged(ids(store), START))
    put(store, told("a", "2"))
    assert lines(store) == [("a", "2")]


def test_the_same_state_once_more_is_no_reason_to_call_it_missed(store: Store) -> None:
    put(store, told("a", "1"))
    put(store, state("a", "1, and offline"))
    assert lines(store) == [("a", "1, and offline")]
    put(store, told("a", "2"))
    assert lines(store) == [("a/missed", "1"), ("a", "2")]


def test_a_topic_that_is_cleared_loses_nothing_that_was_missed(store: Store) -> None:
    put(store, told("a", "1"))
    put(store, state("a", ""))
    assert lines(store) == [("a/missed", "1"), ("a", "")]


def test_what_is_spare_is_thinned_out_evenly_when_there_is_too_much_and_nothing_else_is(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, telemetry("raw"), telemetry("raw"))
    for number in range(9):
        put(store, told("a", str(number)), told("b", str(number), spare=False))
    write(store, lambda connection: outbox.thin(connection, 8))
    assert store.count("thinned") == 0 and not caplog.messages
    put(store, told("a", "9"))
    write(store, lambda connection: outbox.thin(connection, 8))
    assert [payload for topic, payload in lines(store) if topic == "a/missed"] == ["0", "2", "4", "6", "8"]
    assert [payload for topic, payload in lines(store) if topic == "b/missed"] == [str(number) for number in range(8)]
    assert (store.count("spare"), store.count("thinned"), store.count("telemetry")) == (5, 4, 15)
    assert ("a", "9") in lines(store) and len(caplog.messages) == 1


# ------------------------------------------------------------------ acknowledgement
def test_what_is_acknowledged_leaves_and_the_rest_stays(store: Store) -> None:
    put(store, telemetry("a"), telemetry("b"), telemetry("c"))
    first, second, third = ids(store)
    write(store, outbox.acknowledged([first, third], START))
    assert ids(store) == [second]


def test_a_telegram_is_published_only_when_all_its_messages_are_acknowledged(store: Store) -> None:
    parsed(store, "raw", "reading", "extra")
    first, second, third = ids(store)
    for row_id in (second, first):
        write(store, outbox.acknowledged([row_id], START))
        assert status(store) == Status.PARSED
        assert one(store, "SELECT published_at FROM parse_results") is None
    write(store, outbox.acknowledged([third], START))
    assert status(store) == Status.PUBLISHED
    assert one(store, "SELECT published_at FROM parse_results") == "2026-03-01T12:00:00.000Z"


def test_one_batch_of_acknowledgements_may_publish_several_telegrams(store: Store) -> None:
    for ingest_id in ("t1", "t2", "t3"):
        write(
            store,
            lambda connection, i=ingest_id: arrivals.insert(connection, [received(i)], dedup_window_s=None),
            telegrams.settle(ingest_id, Status.PARSED, meter_id=None),
            outbox.enqueue([telemetry("a", ingest_id), telemetry("b", ingest_id)], START),
        )
    write(store, outbox.acknowledged([*ids(store, "t1"), *ids(store, "t2"), ids(store, "t3")[0]], START))
    assert [status(store, i) for i in ("t1", "t2", "t3")] == [Status.PUBLISHED, Status.PUBLISHED, Status.PARSED]


@pytest.mark.parametrize("waits", [Status.DEFERRED, Status.KEY_MISSING, Status.FAILED])
def test_an_acknowledged_error_message_publishes_no_telegram(store: Store, waits: str) -> None:
    write(
        store,
        lambda connection: arrivals.insert(connection, [received()], dedup_window_s=None),
        telegrams.settle("t1", waits, meter_id=None, retry_at=START),
        outbox.enqueue([telemetry("errors", "t1")], START),
    )
    write(store, outbox.acknowledged(ids(store), START))
    assert status(store) == waits
    assert ids(store) == []


def test_an_acknowledgement_twice_or_of_nothing_changes_nothing(store: Store) -> None:
    parsed(store, "reading")
    (row_id,) = ids(store)
    write(store, outbox.acknowledged([], START))
    write(store, outbox.acknowledged([row_id, row_id, 999], START))
    write(store, outbox.acknowledged([row_id], START))
    assert status(store) == Status.PUBLISHED
    assert store.count("outbox") == 0


def test_thousands_may_be_acknowledged_at_once(store: Store) -> None:
    put(store, *[telemetry("a") for _ in range(3000)])
    write(store, outbox.acknowledged(ids(store) or [row[0] for row in rows(store, "SELECT id FROM mqtt_queue")], START))
    write(store, outbox.acknowledged([row[0] for row in rows(store, "SELECT id FROM mqtt_queue")], START))
    assert store.count("outbox") == store.count("telemetry") == 0


# ------------------------------------------------------------------ refusal
def test_a_reading_that_the_broker_refuses_makes_its_telegram_fail_with_the_reason(store: Store) -> None:
    parsed(store, "raw", "reading")
    first, second = ids(store)
    write(store, outbox.refused([second], "Not authorized", START))
    assert status(store) == Status.FAILED
    assert "Not authorized" in one(store, "SELECT reason FROM telegrams")
    write(store, outbox.acknowledged([first], START))
    assert status(store) == Status.FAILED, "the other message does not make it good"


@pytest.mark.parametrize("waits", [Status.DEFERRED, Status.KEY_MISSING])
def test_a_refused_message_does_not_end_a_telegram_that_still_waits(store: Store, waits: str) -> None:
    write(
        store,
        lambda connection: arrivals.insert(connection, [received()], dedup_window_s=None),
        telegrams.settle("t1", waits, meter_id="12345678", retry_at=START),
        outbox.enqueue([telemetry("raw", "t1")], START),
    )
    write(store, outbox.refused(ids(store), "Not authorized", START))
    assert status(store) == waits
    assert ids(store) == []


def test_a_refused_state_message_is_set_aside(store: Store) -> None:
    put(store, state("a", "1"), state("b", "1"))
    write(store, outbox.refused([ids(store)[0], 999], "Packet too large", START))
    assert [m.topic for m in waiting(store)] == ["b"]


def test_telemetry_counts_inside_the_running_transaction(store: Store) -> None:
    def both(connection: object) -> tuple[int, int]:
        before = outbox.telemetry(connection)  # type: ignore[arg-type]
        outbox.put(connection, [telemetry("a"), state("b", "1")], START)  # type: ignore[arg-type]
        return before, outbox.telemetry(connection)  # type: ignore[arg-type]

    assert write(store, both) == [(0, 1)]


# ------------------------------------------------------------------ what is set aside, and what is counted
def test_of_a_refused_retained_topic_the_newest_is_kept_with_its_reason_until_it_is_taken(store: Store) -> None:
    for value in ("1", "2"):
        put(store, state("power", value))
        write(store, outbox.refused(ids(store), "Not authorized", START))
    assert rows(store, "SELECT topic, payload, reason FROM set_aside") == [("power", "2", "Not authorized")]
    assert store.count("set_aside") == 1
    put(store, state("power", "3"), telemetry("other"))
    write(store, outbox.acknowledged(ids(store), START))
    assert store.count("set_aside") == 0 and rows(store, "SELECT * FROM set_aside") == []


def test_each_refused_telemetry_is_kept_up_to_a_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SET_ASIDE_MAX", 3)
    put(store, *[telemetry(f"t/{number}") for number in range(5)])
    write(store, outbox.refused(ids(store), "Quota exceeded", START))
    reader = store.reader()
    try:
        assert [one["topic"] for one in outbox.set_aside(reader, 10)] == ["t/4", "t/3", "t/2"]
    finally:
        reader.close()
    assert store.count("set_aside") == 3


def test_what_was_queued_and_replaced_is_counted_and_how_long_the_first_waits(store: Store) -> None:
    put(store, state("power", "1"), telemetry("raw"))
    put(store, state("power", "2"))
    assert (store.count("queued"), store.count("coalesced")) == (3, 1)
    reader = store.reader()
    try:
        assert outbox.oldest_s(reader, START + timedelta(seconds=90)) == 90
        write(store, outbox.acknowledged(ids(store), START))
        assert outbox.oldest_s(reader, START) == 0
    finally:
        reader.close()
