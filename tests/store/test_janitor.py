"""Cleaning up, against a real store with its thread, whatever the clock says."""
from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from mbusgw.store import arrivals
from mbusgw.store import janitor as janitor_module
from mbusgw.store import readings, telegrams
from mbusgw.store.janitor import PACE, ROUND_S, Janitor
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from tests.fakes.clock import START, FakeClock
from tests.fakes.stores import one, rows, running_store, write
from tests.fakes.telegrams import reading, received

HOUR_S, DAY_S = 3600.0, 86_400.0
#: So far the end of a table moves on in a round.
REACH = timedelta(seconds=PACE * ROUND_S)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with running_store(tmp_path / "mbusgw.db") as store:
        yield store


class Impatient(Janitor):
    """Does not wait when there is nothing to do."""

    def wait(self, seconds: float) -> bool:
        return self.stopping


@pytest.fixture
def janitor(store: Store, clock: FakeClock) -> Janitor:
    return Impatient(store, clock=clock, keep_readings_s=10 * HOUR_S, keep_telegrams_s=2 * HOUR_S)


def come(store: Store, number: int, at: datetime, status: str = Status.FAILED) -> None:
    """A reading and a telegram, dated ``at``."""
    telegram = received(f"t{number}", raw=number.to_bytes(2, "big") * 10, at=at)
    write(
        store,
        lambda connection: readings.add(connection, reading(at=at, energy=number)),
        lambda connection: arrivals.insert(connection, [telegram], dedup_window_s=None),
    )
    if status != Status.RECEIVED:
        write(store, telegrams.settle(f"t{number}", status, meter_id=None, retry_at=at))


def fill(store: Store, count: int, pause: timedelta = timedelta(hours=1)) -> None:
    """So many readings and failed telegrams, until now."""
    for number in range(count):
        come(store, number, START - (count - 1 - number) * pause)


def counts(store: Store) -> tuple[int, int]:
    return one(store, "SELECT count(*) FROM readings"), one(store, "SELECT count(*) FROM telegrams")


def rounds(janitor: Janitor, clock: FakeClock, count: int) -> None:
    """So many rounds, while the wall clock stands still."""
    for _ in range(count):
        clock._mono += ROUND_S
        janitor.step()


def test_what_is_older_than_asked_for_goes_and_the_rest_stays(store: Store, janitor: Janitor, clock: FakeClock) -> None:
    fill(store, 20)
    rounds(janitor, clock, 20)
    assert counts(store) == (11, 3)


def test_it_cleans_in_slices_so_that_nobody_waits_long(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    janitor = Impatient(store, clock=clock, keep_readings_s=DAY_S, keep_telegrams_s=DAY_S)
    for number in range(10):
        come(store, number, START - timedelta(days=3, seconds=-number))
    monkeypatch.setattr(janitor_module, "SLICE", 2)
    units: list[None] = []
    store.on_commit(lambda: units.append(None))
    rounds(janitor, clock, 1)
    assert counts(store) == (0, 0)
    assert len(units) >= 10


def test_it_begins_after_a_while_and_comes_back(store: Store, janitor: Janitor, clock: FakeClock) -> None:
    for number in range(2):
        come(store, number, START - timedelta(days=20) + number * REACH)
    janitor.step()
    assert counts(store) == (2, 2)
    clock._mono += ROUND_S
    janitor.step()
    janitor.step()
    assert counts(store) == (1, 1)
    clock._mono += ROUND_S
    janitor.step()
    assert counts(store) == (0, 0)


def test_a_store_that_refuses_is_asked_again_later(
    store: Store, janitor: Janitor, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, 20)
    store.stop()
    rounds(janitor, clock, 1)
    assert "trying again" in caplog.text


def test_what_the_parser_or_the_broker_still_needs_is_kept_however_old(
    store: Store, janitor: Janitor, clock: FakeClock
) -> None:
    old = START - timedelta(days=400)
    for number, status in enumerate((Status.RECEIVED, Status.FAILED, Status.DEFERRED, Status.PARSED, Status.FAILED)):
        come(store, number, old, status)
    rounds(janitor, clock, 1)
    assert rows(store, "SELECT ingest_id FROM telegrams ORDER BY 1") == [("t0",), ("t2",), ("t3",)]


# ------------------------------------------------------------------ a clock that jumps
def test_a_clock_that_is_in_2099_for_an_hour_costs_the_oldest_hours_and_not_the_history(
    store: Store, clock: FakeClock
) -> None:
    janitor = Impatient(store, clock=clock, keep_readings_s=10 * DAY_S, keep_telegrams_s=10 * DAY_S)
    fill(store, 12, timedelta(days=1))
    rounds(janitor, clock, 15)
    assert counts(store) == (11, 11)
    clock.set_wall(datetime(2099, 1, 1, tzinfo=timezone.utc))
    rounds(janitor, clock, 6)
    come(store, 100, clock.now())
    clock.set_wall(START)
    come(store, 101, clock.now())
    assert counts(store) == (12, 12), "the row that was due next has gone"
    rounds(janitor, clock, 20)
    assert counts(store) == (12, 12), "nothing more goes, though a row is dated 2099"


def test_what_was_written_by_a_wrong_clock_goes_with_what_came_before_and_after_it(
    store: Store, janitor: Janitor, clock: FakeClock
) -> None:
    come(store, 1, START - timedelta(hours=1))
    come(store, 2, datetime(2099, 1, 1, tzinfo=timezone.utc))
    come(store, 3, datetime(1970, 1, 1, tzinfo=timezone.utc))
    come(store, 4, START)
    rounds(janitor, clock, 9)
    assert counts(store) == (4, 4), "what looks old came lately"
    clock.set_wall(START + timedelta(hours=11))
    come(store, 5, clock.now())
    rounds(janitor, clock, 9)
    assert counts(store) == (1, 1)


def test_a_clock_that_was_never_set_deletes_nothing_before_it_is_and_nothing_young_then(
    store: Store, janitor: Janitor, clock: FakeClock
) -> None:
    first_s = datetime(1970, 1, 1, tzinfo=timezone.utc)
    for number in range(3):
        come(store, number, first_s + timedelta(minutes=number))
    clock.set_wall(first_s + timedelta(minutes=3))
    rounds(janitor, clock, 9)
    clock.set_wall(START)
    come(store, 3, clock.now())
    rounds(janitor, clock, 9)
    assert counts(store) == (4, 4)


def test_after_a_long_time_off_it_catches_up_faster_than_time_passes(
    store: Store, janitor: Janitor, clock: FakeClock
) -> None:
    fill(store, 10)
    clock.set_wall(START + timedelta(days=60))
    come(store, 100, clock.now())
    rounds(janitor, clock, 1)
    assert counts(store)[0] > 5
    rounds(janitor, clock, 9)
    assert counts(store) == (1, 1)
