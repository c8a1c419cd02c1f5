"""The history."""
from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from mbusgw.model.reading import Reading
from mbusgw.store import readings, retention
from mbusgw.store.retention import READINGS
from mbusgw.store.writer import Store
from tests.fakes.clock import START
from tests.fakes.stores import rows, write
from tests.fakes.telegrams import reading


def test_a_reading_is_kept_with_exact_numbers_and_texts(store: Store) -> None:
    one = reading(energy=Decimal("1E+3"), volume=Decimal("0.10"), at_date=datetime(2026, 1, 2, 3, 4), nothing=None)
    write(store, lambda connection: readings.add(connection, replace(one, ingest_id="t1")))
    ((device_id, read_at, ingest_id, text),) = rows(
        store, "SELECT device_id, read_at, ingest_id, fields_json FROM readings"
    )
    assert (device_id, read_at, ingest_id) == ("meter_1", "2026-03-01T12:00:00.000Z", "t1")
    assert '"volume":[0.10,"kWh"]' in text, "exact"
    assert json.loads(text) == {
        "energy": [1000, "kWh"],
        "volume": [0.1, "kWh"],
        "at_date": ["2026-01-02T03:04:00", "kWh"],
    }


def test_what_was_in_quarantine_is_kept_with_the_reading_and_also_that_nobody_judged_it(store: Store) -> None:
    for held in (frozenset({"volume", "energy"}), frozenset[str](), None):
        one = replace(reading(energy=1, volume=2), quarantined=held)
        write(store, lambda connection, one=one: readings.add(connection, one))
    with closing(store.reader()) as reader:
        assert [one.quarantined for one in readings.after(reader, 0, 10)] == [("energy", "volume"), (), None]


def test_a_telegram_that_is_parsed_again_when_it_is_not_the_newest_keeps_in_quarantine_what_is_still_the_same(
    store: Store,
) -> None:
    first = replace(reading(energy=Decimal("5.0"), volume=2, power=3), ingest_id="t1")
    again = replace(reading(energy=Decimal("5.0"), volume=4, power=3), ingest_id="t1")

    def kept(*ones: Reading) -> tuple[str, ...] | None:
        for one in ones:
            write(store, lambda connection, one=one: readings.add(connection, one))
        with closing(store.reader()) as reader:
            (found,) = readings.after(reader, 0, 10)
        return found.quarantined

    assert kept(first, again) is None
    assert kept(replace(first, quarantined=frozenset({"energy", "volume"})), again) == ("energy",)
    assert kept(replace(again, quarantined=frozenset())) == (), "the newest is judged anew"


def test_old_readings_are_forgotten_a_slice_at_a_time(store: Store) -> None:
    for hour in range(5):
        write(
            store,
            lambda connection, at=START + timedelta(hours=hour): readings.add(connection, reading(at=at, energy=1)),
        )
    now = START + timedelta(hours=4)
    reader = store.reader()
    last = retention.last_before(reader, READINGS, START + timedelta(hours=3), now)
    reader.close()
    assert last is not None
    counts = [write(store, lambda connection: retention.forget(connection, READINGS, last, 2))[0] for _ in range(3)]
    assert counts == [(2, 2), (1, 3), (0, 3)]
    assert len(rows(store, "SELECT * FROM readings")) == 2
