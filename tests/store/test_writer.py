"""The only writer: group commit, isolation, durability, trouble and recovery."""
from __future__ import annotations

import logging
import sqlite3
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from mbusgw.model.errors import RequestError, StoreBusy, StoreDamaged, StoreError, StoreFull
from mbusgw.runtime.worker import spawn
from mbusgw.store.writer import GROUP, Store
from tests.fakes.clock import FakeClock
from tests.fakes.stores import one, opened_store, rows, running_store, write
from tests.wait import PATIENCE_S, wait_until


def insert(topic: str, payload: str = "p") -> Any:
    return lambda connection: connection.execute(
        "INSERT INTO discovery (topic, device_id, payload, updated_at) VALUES (?, 'd', ?, 'now')", (topic, payload)
    )


def topics(store: Store) -> list[str]:
    return [row[0] for row in rows(store, "SELECT topic FROM discovery ORDER BY topic")]


# ------------------------------------------------------------------ units
def test_a_unit_is_on_disk_when_its_future_is_done(live_store: Store) -> None:
    live_store.submit(insert("a")).result(PATIENCE_S)
    assert topics(live_store) == ["a"]


def test_the_future_gets_the_result_of_every_write(store: Store) -> None:
    assert write(store, lambda _: 1, lambda _: "two") == [1, "two"]
    assert write(store) == []


def test_all_that_wait_go_into_one_commit(store: Store) -> None:
    commits: list[None] = []
    store.on_commit(lambda: commits.append(None))
    futures = [store.submit(insert(f"t{number}")) for number in range(GROUP)]
    store.step()
    assert all(future.done() for future in futures)
    assert len(commits) == 1


def test_a_commit_has_a_limit_so_that_the_first_does_not_wait_for_the_last(store: Store) -> None:
    futures = [store.submit(insert(f"t{number:04d}")) for number in range(GROUP + 1)]
    store.step()
    assert [future.done() for future in futures] == [True] * GROUP + [False]
    store.step()
    assert futures[-1].result(0)


def test_units_are_written_in_the_order_they_were_submitted(store: Store) -> None:
    for number in range(20):
        store.submit(insert("t", str(number)), lambda connection: connection.execute("DELETE FROM discovery"))
        store.submit(insert("t", str(number)))
        store.submit(lambda connection: connection.execute("DELETE FROM discovery"))
    last = store.submit(insert("t", "last"))
    store.step()
    last.result(0)
    assert rows(store, "SELECT topic, payload FROM discovery") == [("t", "last")]


@pytest.mark.parametrize(
    ("mistake", "kind"),
    [
        (lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)"), StoreError),
        (lambda connection: connection.execute("INSERT INTO device_states (device_id) VALUES ('x')"), StoreError),
        (lambda connection: connection.execute("SELECT ?", (1, 2)), StoreError),
        (lambda connection: connection.execute("SELECT ?", (object(),)), StoreError),
        (lambda connection: connection.execute("SELECT ?", (1 << 80,)), OverflowError),
        (lambda connection: 1 / 0, ZeroDivisionError),
    ],
)
def test_a_unit_that_fails_is_undone_whole_and_touches_no_other(
    store: Store, mistake: Any, kind: type[Exception]
) -> None:
    before = store.submit(insert("before"))
    bad = store.submit(insert("undone"), mistake, insert("never"))
    after = store.submit(insert("after"))
    store.step()
    assert isinstance(bad.exception(0), kind)
    before.result(0), after.result(0)
    assert topics(store) == ["after", "before"]
    assert store.last_error is None, "it is the unit's trouble, not the database's"


def test_a_unit_may_refuse_by_one_of_our_errors(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_connection: sqlite3.Connection) -> None:
        raise RequestError(503, "backlog_full", "no room")

    bad = store.submit(insert("undone"), refuse)
    good = store.submit(insert("kept"))
    store.step()
    assert isinstance(bad.exception(0), RequestError)
    good.result(0)
    assert topics(store) == ["kept"]
    assert not caplog.records, "whoever asked for it says so"


def test_a_future_that_nobody_wants_any_more_is_not_written_and_hurts_no_other(store: Store) -> None:
    unwanted = store.submit(insert("unwanted"))
    wanted = store.submit(insert("wanted"))
    assert unwanted.cancel()
    store.step()
    wanted.result(0)
    assert topics(store) == ["wanted"]


# ------------------------------------------------------------------ bounds, start and stop
def test_a_full_queue_refuses_at_once_and_keeps_the_rest(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db", clock=FakeClock(), waiting=2)
    store.open()
    futures = [store.submit(insert(f"t{number}")) for number in range(3)]
    with pytest.raises(StoreBusy, match="too much"):
        futures[2].result(0)
    store.step()
    assert futures[0].result(0) and futures[1].result(0)
    store.stop()
    store.close()


def test_what_was_accepted_before_the_stop_is_written(tmp_path: Path) -> None:
    with opened_store(tmp_path / "a.db") as store:
        futures = [store.submit(insert(f"t{number:03d}")) for number in range(3 * GROUP)]
        store.start()
        store.stop()
        assert store.join(PATIENCE_S)
        assert all(future.done() and future.exception() is None for future in futures)
        assert len(topics(store)) == 3 * GROUP


def test_after_the_stop_everything_is_refused(live_store: Store) -> None:
    live_store.stop()
    with pytest.raises(StoreBusy, match="closed"):
        live_store.submit(insert("late")).result(PATIENCE_S)


def test_no_future_stays_open_when_the_stop_comes_in_the_middle(tmp_path: Path) -> None:
    for round_ in range(10):
        with running_store(tmp_path / f"{round_}.db") as store:
            futures: list[Future[list[Any]]] = []
            enough = threading.Event()

            def submit(store: Store = store, futures: list[Future[list[Any]]] = futures) -> None:
                while not futures or futures[-1].done() is False or futures[-1].exception() is None:
                    futures.append(store.submit(lambda _: None))
                    if len(futures) > 50:
                        enough.set()

            thread = spawn("submitter", submit)
            assert enough.wait(PATIENCE_S)
            store.stop()
            assert store.join(PATIENCE_S)
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
            assert all(future.done() for future in futures)


def test_many_threads_get_each_their_own_result(live_store: Store) -> None:
    results: dict[int, list[int]] = {}

    def work(who: int) -> None:
        results[who] = [
            live_store.submit(lambda _, value=who * 1000 + number: value).result(PATIENCE_S)[0] for number in range(50)
        ]

    threads = [spawn(f"client{who}", lambda who=who: work(who)) for who in range(8)]
    for thread in threads:
        thread.join(PATIENCE_S)
    assert results == {who: [who * 1000 + number for number in range(50)] for who in range(8)}


def test_a_listener_hears_of_every_commit_and_finds_the_future_done(live_store: Store) -> None:
    heard = threading.Event()
    live_store.on_commit(heard.set)
    future = live_store.submit(insert("a"))
    assert heard.wait(PATIENCE_S)
    assert future.done()


def test_a_listener_does_not_hear_of_what_could_not_be_committed(store: Store) -> None:
    heard: list[str] = []
    store.on_commit(lambda: heard.append("commit"))
    write(store, lambda connection: connection.execute("PRAGMA busy_timeout = 20").fetchone())
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy):
        write(store, insert("a"))
    holder.close()
    assert len(heard) == 1


def test_counts_are_there_from_the_start(tmp_path: Path) -> None:
    put = "INSERT INTO mqtt_queue (topic, payload, retain, created_at) VALUES ('t', 'p', ?, 'now')"
    with opened_store(tmp_path / "a.db") as store:
        write(store, lambda connection: connection.executemany(put, [(0,), (1,), (0,)]) and None)
        assert (store.count("outbox"), store.count("telemetry"), store.count("backlog")) == (3, 2, 0)
    with opened_store(tmp_path / "a.db") as store:
        assert (store.count("outbox"), store.count("telemetry")) == (3, 2)
        assert store.count("unheard of") == 0


# ------------------------------------------------------------------ trouble
def limit_pages(pages: int) -> Any:
    return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()[0]


def fill(store: Store) -> StoreError:
    """Writes until there is no room, and says how that was told."""
    write(store, limit_pages(one(store, "PRAGMA page_count") + 20))
    for number in range(1000):
        future = store.submit(insert(f"filler{number}", "x" * 4000))
        store.step()
        error = future.exception(0)
        if error is not None:
            assert isinstance(error, StoreError)
            return error
    raise AssertionError("it never became full")


def test_a_full_disk_refuses_loses_nothing_and_recovers_by_itself(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mbusgw.store")
    error = fill(store)
    assert isinstance(error, StoreFull) and error.retryable
    assert isinstance(store.last_error, StoreFull)
    kept = topics(store)
    with pytest.raises(StoreFull):
        write(store, insert("still full", "x" * 4000))
    assert topics(store) == kept
    write(store, limit_pages(1_000_000))
    write(store, insert("room again", "x" * 4000))
    assert store.last_error is None
    assert sorted([*kept, "room again"]) == topics(store)
    assert one(store, "PRAGMA integrity_check") == "ok"
    said = [record.levelno for record in caplog.records]
    assert said == [logging.ERROR, logging.INFO], "said once when it begins and once when it ends"


def test_counters_are_right_after_a_full_disk(store: Store) -> None:
    fill(store)
    put = "INSERT INTO mqtt_queue (topic, payload, retain, created_at) VALUES ('t', ?, 0, 'now')"
    with pytest.raises(StoreFull):
        write(store, lambda connection: [connection.execute(put, ("y" * 4000,)) for _ in range(50)] and None)
    assert store.count("outbox") == one(store, "SELECT count(*) FROM mqtt_queue") == 0


def test_a_database_held_by_another_process_is_busy_and_works_afterwards(store: Store) -> None:
    write(store, lambda connection: connection.execute("PRAGMA busy_timeout = 20").fetchone())
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy) as caught:
        write(store, insert("held"))
    assert caught.value.retryable
    holder.execute("ROLLBACK")
    holder.close()
    write(store, insert("free"))
    assert topics(store) == ["free"]


def test_a_reader_that_stays_does_not_hold_up_the_writer(store: Store) -> None:
    reader = store.reader()
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM discovery").fetchone()[0] == 0
    write(store, insert("a"))
    assert reader.execute("SELECT count(*) FROM discovery").fetchone()[0] == 0, "it sees one moment"
    reader.close()
    assert topics(store) == ["a"]


def test_a_damaged_file_is_named_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with opened_store(path) as store:
        write(store, *[insert(f"t{number}", "x" * 3000) for number in range(200)])
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        for offset in range(4096, size, 4096):
            file.seek(offset)
            file.write(b"\xff" * 4096)
    with pytest.raises(StoreDamaged), opened_store(path) as store:
        write(store, insert("a"))


def test_a_listener_that_crashes_costs_a_pause_and_no_outcome(live_store: Store) -> None:
    crash = iter([True])

    def listener() -> None:
        if next(crash, False):
            raise RuntimeError("on purpose")

    live_store.on_commit(listener)
    first = live_store.submit(insert("a"))
    assert first.result(PATIENCE_S)
    wait_until(lambda: live_store.crashes == 1)
    assert live_store.submit(insert("b")).result(PATIENCE_S)
    assert topics(live_store) == ["a", "b"]
