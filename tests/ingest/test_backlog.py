"""Which telegram is next."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta

import pytest

from mbusgw.ingest import backlog as backlog_module
from mbusgw.ingest.backlog import LOOK_S, Backlog
from mbusgw.model.errors import Stopping
from mbusgw.runtime.worker import spawn
from mbusgw.store import arrivals, telegrams
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from tests.fakes.clock import START, FakeClock
from tests.fakes.stores import write
from tests.fakes.telegrams import received
from tests.wait import PATIENCE_S, wait_until


@pytest.fixture
def backlog(clock: FakeClock) -> Backlog:
    return Backlog(clock)


@pytest.fixture
def reader(store: Store) -> Iterator[sqlite3.Connection]:
    reader = store.reader()
    yield reader
    reader.close()


def put(store: Store, *names: str) -> None:
    some = [received(name, raw=name.encode() * 10) for name in names]
    write(store, lambda connection: arrivals.insert(connection, some, dedup_window_s=None))


def settle(store: Store, name: str, status: str = Status.PARSED, after_s: float = 0) -> None:
    write(store, telegrams.settle(name, status, meter_id=None, retry_at=START + timedelta(seconds=after_s)))


def take_all(backlog: Backlog, reader: sqlite3.Connection) -> list[str]:
    taken: list[str] = []
    while (ingest_id := backlog.take(0, reader)) is not None:
        taken.append(ingest_id)
    return taken


def test_at_the_start_everything_unfinished_is_found_on_disk(
    store: Store, backlog: Backlog, reader: sqlite3.Connection
) -> None:
    put(store, "t1", "t2", "t3", "t4")
    settle(store, "t2", Status.DEFERRED, after_s=500)
    settle(store, "t3")
    assert take_all(backlog, reader) == ["t1", "t4", "t2"], "also what the last run deferred for longer"


def test_a_deferred_telegram_is_found_when_its_time_has_come(
    store: Store, backlog: Backlog, reader: sqlite3.Connection, clock: FakeClock
) -> None:
    assert take_all(backlog, reader) == []
    put(store, "t1")
    settle(store, "t1", Status.DEFERRED, after_s=15)
    clock.advance(14)
    assert take_all(backlog, reader) == []
    clock.advance(LOOK_S)
    assert take_all(backlog, reader) == ["t1"]


def test_nobody_gets_a_telegram_that_another_has(
    store: Store, backlog: Backlog, reader: sqlite3.Connection, clock: FakeClock
) -> None:
    put(store, "t1")
    assert take_all(backlog, reader) == ["t1"]
    backlog.ring(["t1"])
    clock.advance(LOOK_S)
    assert take_all(backlog, reader) == []
    backlog.release("t1")
    clock.advance(LOOK_S)
    assert take_all(backlog, reader) == ["t1"], "given back and not settled: it waits again"


def test_what_does_not_fit_in_memory_is_found_on_disk_oldest_first(
    store: Store, clock: FakeClock, reader: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_module, "BELLS", 3)
    backlog = Backlog(clock)
    assert backlog.take(0, reader) is None
    names = [f"t{number}" for number in range(8)]
    put(store, *names)
    backlog.ring(names)
    assert len(backlog) == 3
    put(store, "late")
    done = []
    while (ingest_id := backlog.take(0, reader)) is not None:
        done.append(ingest_id)
        settle(store, ingest_id)
        backlog.release(ingest_id)
        backlog.ring(["late"] if len(done) == 1 else [])
    assert done == [*names, "late"], "the clock did not move, and none is overtaken"


def test_the_disk_is_not_asked_all_the_time(
    store: Store, backlog: Backlog, reader: sqlite3.Connection, clock: FakeClock
) -> None:
    assert backlog.take(0, reader) is None
    queries: list[str] = []
    reader.set_trace_callback(queries.append)
    for _ in range(5):
        assert backlog.take(0, reader) is None
    assert queries == []
    clock.advance(LOOK_S)
    assert backlog.take(0, reader) is None
    assert queries


def test_a_look_that_failed_is_made_up_for(
    store: Store, backlog: Backlog, reader: sqlite3.Connection, clock: FakeClock
) -> None:
    put(store, "t1")
    broken = store.reader()
    broken.close()
    with pytest.raises(sqlite3.Error):
        backlog.take(0, broken)
    clock.advance(LOOK_S)
    assert take_all(backlog, reader) == ["t1"]


def test_after_close_everybody_stops_at_once_and_what_waits_stays_on_disk(store: Store, backlog: Backlog) -> None:
    stopped: list[int] = []

    def take(who: int) -> None:
        reader = store.reader()
        try:
            while True:
                backlog.take(30, reader)
        except Stopping:
            stopped.append(who)
        finally:
            reader.close()

    threads = [spawn(f"parse:{who}", lambda who=who: take(who)) for who in range(3)]
    backlog.close()
    wait_until(lambda: len(stopped) == 3)
    for thread in threads:
        thread.join(PATIENCE_S)
    put(store, "t1")
    backlog.ring(["t1"])
    reader = store.reader()
    with pytest.raises(Stopping):
        backlog.take(0, reader)
    assert telegrams.due(reader, None, 10) == ["t1"]
    reader.close()
