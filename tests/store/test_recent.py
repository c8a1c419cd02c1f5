"""What was heard lately: in memory, but never other than on the disk."""
from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mbusgw.model.errors import RequestError
from mbusgw.model.submission import Accepted
from mbusgw.store import arrivals, recent
from mbusgw.store.writer import Store
from tests.fakes.clock import START, FakeClock
from tests.fakes.stores import one, opened_store, running_store, write
from tests.fakes.telegrams import received


def insert(store: Store, *names: str, content: int = 0, after_s: float = 0.0) -> list[str | None]:
    """Which earlier telegram each of ``names`` is a duplicate of; all have one content."""
    at = START + timedelta(seconds=after_s)
    some = [received(name, raw=bytes([content]) * 20, at=at) for name in names]
    (accepted,) = write(store, lambda connection: arrivals.insert(connection, some, dedup_window_s=300))
    return [answer.duplicate_of for answer in accepted]


def remembered(store: Store) -> int:
    (count,) = write(store, lambda connection: connection.execute("SELECT count(*) FROM temp.recent").fetchone()[0])
    return int(count)


def test_a_new_start_knows_what_the_last_run_heard(tmp_path: Path, clock: FakeClock) -> None:
    with running_store(tmp_path / "a.db", clock) as store:
        insert(store, "t1")
        insert(store, "t2", content=1, after_s=30)
    with running_store(tmp_path / "a.db", clock) as store:
        assert insert(store, "t3", after_s=60) == ["t1"]
        assert insert(store, "t4", content=1, after_s=400) == [None], "beyond the window"


def test_what_was_rolled_back_is_not_known(store: Store) -> None:
    insert(store, "t0", content=9)

    def refuse(_connection: object) -> None:
        raise RequestError(503, "full", "no room")

    half = [received("half", raw=bytes([1]) * 20)]
    with pytest.raises(RequestError):
        write(store, lambda connection: arrivals.insert(connection, half, dedup_window_s=300), refuse)
    assert insert(store, "t1", content=1) == [None]
    assert one(store, "SELECT count(*) FROM telegrams WHERE ingest_id = 'half'") == 0


def test_even_the_first_look_is_taken_back_with_its_unit(tmp_path: Path, clock: FakeClock) -> None:
    with opened_store(tmp_path / "a.db", clock) as store:
        some = [received("t1")]
        failing = store.submit(
            lambda connection: arrivals.insert(connection, some, dedup_window_s=300),
            lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)"),
        )
        working = store.submit(lambda connection: arrivals.insert(connection, some, dedup_window_s=300))
        store.step()
        assert failing.exception(0) is not None
        assert working.result(0) == [[Accepted("t1")]]


def test_in_one_call_the_first_is_the_original_of_the_others(store: Store) -> None:
    assert insert(store, "t1", "t2", "t3") == [None, "t1", "t1"]
    assert insert(store, "t4", after_s=1) == ["t1"]


def test_more_than_one_statement_takes_are_all_stored_and_all_known_again(store: Store) -> None:
    some = [received(f"t{number}", raw=number.to_bytes(20, "big")) for number in range(300)]
    again = [received(f"d{number}", raw=number.to_bytes(20, "big")) for number in range(300)]
    (first,) = write(store, lambda connection: arrivals.insert(connection, some, dedup_window_s=300))
    (second,) = write(store, lambda connection: arrivals.insert(connection, again, dedup_window_s=300))
    assert [answer.ingest_id for answer in first] == [telegram.ingest_id for telegram in some]
    assert [answer.duplicate_of for answer in second] == [telegram.ingest_id for telegram in some]
    assert one(store, "SELECT count(*) FROM telegrams WHERE status = 'duplicate'") == 300


def test_what_has_left_the_window_is_forgotten_but_for_the_newest(store: Store) -> None:
    for number in range(recent.KEPT // 100 + 1):
        some = [received(f"t{number}-{n}", raw=b"%20d" % (100 * number + n), at=START) for n in range(100)]
        write(store, lambda connection, some=some: arrivals.insert(connection, some, dedup_window_s=300))
    assert remembered(store) == recent.KEPT + 100
    insert(store, "late", after_s=1000)
    assert remembered(store) == recent.KEPT + 1, "those there were before the last one came, and that"


def test_a_clock_that_jumps_and_comes_back_hides_nothing(store: Store) -> None:
    insert(store, "t1")
    insert(store, "t2", content=1, after_s=86_400)
    assert insert(store, "t3", after_s=10) == ["t1"]


def test_a_telegram_that_was_deleted_is_no_original(store: Store) -> None:
    insert(store, "t1")
    write(store, lambda connection: connection.execute("DELETE FROM telegrams WHERE ingest_id = 't1'"))
    assert insert(store, "t2", after_s=10) == [None]
    assert insert(store, "t3", after_s=20) == ["t2"]
