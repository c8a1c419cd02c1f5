"""Cleaning up, against a real store with its thread."""
from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mbusgw.store import janitor as janitor_module
from mbusgw.store import readings, telegrams
from mbusgw.store.janitor import ROUND_S, Janitor
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from tests.fakes.clock import START, FakeClock
from tests.fakes.stores import one, running_store, write
from tests.fakes.telegrams import reading, received

DAY_S = 86_400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


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
    return Impatient(store, clock=clock, keep_readings_s=10 * DAY_S, keep_telegrams_s=2 * DAY_S)


def fill(store: Store) -> None:
    """One reading and one failed telegram a day, for 20 days until now."""
    for day in range(20):
        at = START - timedelta(days=day)
        telegram = received(f"t{day}", raw=bytes([day]) * 20, at=at)
        write(
            store,
            lambda connection, at=at: readings.add(connection, reading(at=at, energy=day)),
            lambda connection, telegram=telegram: telegrams.insert(connection, [telegram], dedup_window_s=None),
            telegrams.settle(f"t{day}", Status.FAILED, meter_id=None),
        )


def counts(store: Store) -> tuple[int, int]:
    return one(store, "SELECT count(*) FROM readings"), one(store, "SELECT count(*) FROM telegrams")


def test_what_is_older_than_asked_for_goes_and_the_rest_stays(store: Store, janitor: Janitor) -> None:
    fill(store)
    janitor.step()
    assert counts(store) == (11, 3)


def test_it_cleans_in_slices_so_that_nobody_waits_long(
    store: Store, janitor: Janitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    monkeypatch.setattr(janitor_module, "SLICE", 2)
    units: list[None] = []
    store.on_commit(lambda: units.append(None))
    janitor.step()
    assert counts(store) == (11, 3)
    assert len(units) >= 9 // 2 + 17 // 2


def test_it_comes_back_after_an_hour(store: Store, janitor: Janitor, clock: FakeClock) -> None:
    janitor.step()
    fill(store)
    janitor.step()
    assert counts(store) == (20, 20)
    clock.advance(ROUND_S)
    janitor.step()
    assert counts(store) == (10, 2)


def test_a_store_that_refuses_is_asked_again_later(
    store: Store, janitor: Janitor, caplog: pytest.LogCaptureFixture
) -> None:
    store.stop()
    janitor.step()
    assert "trying again" in caplog.text


def test_what_the_parser_or_the_broker_still_needs_is_kept_however_old(store: Store, janitor: Janitor) -> None:
    old = START - timedelta(days=400)
    for number, status in enumerate((Status.RECEIVED, Status.DEFERRED, Status.PARSED)):
        telegram = received(f"t{number}", raw=bytes([number]) * 20, at=old)
        write(store, lambda connection, one=telegram: telegrams.insert(connection, [one], dedup_window_s=None))
        if status != Status.RECEIVED:
            write(store, telegrams.settle(f"t{number}", status, meter_id=None, retry_at=old))
    janitor.step()
    assert counts(store) == (0, 3)
