"""The history."""
from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

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
