"""Readings that were not told when they were the newest."""
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mbusgw.model.guests import Guest, GuestList
from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.reading import Lane, Reading
from mbusgw.model.record import Record
from mbusgw.mqtt.states import StateRecorder
from mbusgw.registry.registry import Registry
from mbusgw.runtime.clock import iso
from mbusgw.store import outbox
from mbusgw.store.writer import Store
from tests.fakes.clock import START, FakeClock
from tests.fakes.stores import opened_store, rows, write
from tests.mqtt.house import TOPICS, reading

HISTORY = TOPICS.history("meter_1")
ATTRIBUTES = TOPICS.attributes("meter_1")


class House:
    """Registry, recorder and store; the test is the broker."""

    def __init__(self, store: Store, *, guests: GuestList = GuestList(), max_history: int = 5_000) -> None:
        self.clock = FakeClock()
        self.store = store
        self.registry = Registry(self.clock, radio_ttl_s=3600, guests=guests)
        self.recorder = StateRecorder(self.registry, store, TOPICS, clock=self.clock, max_history=max_history)

    def read(self, after_s: float, kwh: int = 1) -> Reading:
        return self.deliver(made(after_s, kwh))

    def deliver(self, one: Reading) -> Reading:
        self.clock.advance(max(0.0, (one.read_at - self.clock.now()).total_seconds()))
        self.recorder.deliver(one)
        self.store.step()
        return one

    def messages(self, topic: str) -> list[dict[str, Any]]:
        found = rows(self.store, "SELECT payload FROM mqtt_queue WHERE topic = ? ORDER BY id", topic)
        return [json.loads(row[0]) for row in found]

    def told_at(self, topic: str) -> list[str]:
        return [message["read_at"] for message in self.messages(topic)]

    def take(self) -> None:
        """The broker takes everything."""
        write(self.store, outbox.acknowledged([row[0] for row in rows(self.store, "SELECT id FROM mqtt_queue")], START))


def made(after_s: float, kwh: int = 1) -> Reading:
    energy = Record(QUANTITIES["energy"], "Wh", Decimal(kwh * 1000), dib=b"\x04", vib=b"\x06", data=b"\x01")
    return reading("meter_1", [energy], read_at=at(after_s))


def at(after_s: float) -> datetime:
    return START + timedelta(seconds=after_s)


def texts(*after_s: float) -> list[str]:
    return [iso(at(one)) for one in after_s]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened_store(tmp_path / "mbusgw.db", FakeClock()) as opened:
        yield opened


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


def test_while_the_broker_takes_each_reading_there_is_no_history(house: House) -> None:
    for after_s in (0, 10, 20):
        house.read(after_s, kwh=int(after_s))
        assert house.told_at(ATTRIBUTES) == texts(after_s)
        house.take()
    assert house.told_at(HISTORY) == []


def test_in_an_outage_each_missed_reading_waits_with_its_own_time_and_values_and_the_newest_is_the_state(
    house: House,
) -> None:
    for after_s in (0, 10, 20):
        house.read(after_s, kwh=int(after_s) + 5)
    assert house.told_at(HISTORY) == texts(0, 10)
    assert house.told_at(ATTRIBUTES) == texts(20)
    assert [one["fields"]["energy"] for one in house.messages(HISTORY)] == [
        {"value": 5.0, "unit": "kWh"},
        {"value": 15.0, "unit": "kWh"},
    ]
    assert rows(house.store, "SELECT payload FROM mqtt_queue WHERE topic = 'mbus/meter_1/energy'") == [("25.000",)]
    assert {row[0] for row in rows(house.store, "SELECT retain FROM mqtt_queue WHERE topic = ?", HISTORY)} == {0}


def test_what_was_not_believed_is_told_as_read_and_named(house: House) -> None:
    house.read(0, kwh=100)
    house.read(10, kwh=5)
    house.read(20, kwh=101)
    house.deliver(made(5, 6))
    house.read(30, kwh=102)
    told = [(one["fields"]["energy"]["value"], one["quarantined"]) for one in house.messages(HISTORY)]
    # The fourth came late: it is no news, and nothing is known that it could be held against.
    assert told == [(100, []), (5, ["energy"]), (6, None), (101, [])]
    assert rows(house.store, "SELECT quarantined FROM readings ORDER BY id") == [
        ("[]",), ('["energy"]',), ("[]",), (None,), ("[]",)
    ]  # fmt: skip


def test_a_value_that_is_believed_after_all_is_no_longer_named_from_then_on(house: House) -> None:
    for after_s in range(0, 60, 10):
        house.read(after_s, kwh=5 if after_s else 100)
    assert [one["quarantined"] for one in house.messages(HISTORY)] == [[], *[["energy"]] * 3, []]
    assert rows(house.store, "SELECT payload FROM mqtt_queue WHERE topic = 'mbus/meter_1/energy'") == [("5.000",)]


def test_a_heartbeat_and_going_offline_are_no_readings(house: House) -> None:
    house.read(0)
    house.recorder.publish_all(house.registry.snapshot().values())
    house.clock.advance(7200)
    for change in house.registry.expire():
        house.recorder.publish_change(change)
    house.store.step()
    assert house.told_at(HISTORY) == [] and house.messages(ATTRIBUTES)[0]["version"] == 2
    house.read(7200)
    assert house.told_at(HISTORY) == texts(0)


def test_a_reading_that_comes_late_goes_to_the_history_and_changes_no_state(house: House) -> None:
    house.read(100, kwh=7)
    house.take()
    house.read(50, kwh=6)
    assert house.told_at(HISTORY) == texts(50)
    assert house.told_at(ATTRIBUTES) == texts(100)
    assert rows(house.store, "SELECT 1 FROM mqtt_queue WHERE topic = 'mbus/meter_1/energy'") == []


def test_a_reading_that_was_overtaken_on_its_way_to_the_disk_goes_to_the_history(house: House) -> None:
    older, newer = made(0, 1), made(10, 2)
    overtaken = house.registry.record(older)
    house.deliver(newer)
    # The other thread, whose reading was recorded first, comes to the store last.
    registry, house.recorder._registry = house.registry, _Said(house.registry, overtaken)  # type: ignore[assignment]
    house.deliver(older)
    house.recorder._registry = registry
    assert house.told_at(HISTORY) == texts(0)
    assert house.told_at(ATTRIBUTES) == texts(10)
    house.read(20)
    assert house.told_at(HISTORY) == texts(0, 10)


class _Said:
    """A registry that has recorded a reading already."""

    def __init__(self, registry: Registry, change: Any) -> None:
        self._registry = registry
        self._change = change

    def record(self, _reading: Reading) -> Any:
        return self._change

    def get(self, device_id: str) -> Any:
        return self._registry.get(device_id)


def test_of_a_long_outage_every_second_reading_of_a_wired_meter_is_kept_and_the_budget_holds(store: Store) -> None:
    house = House(store, max_history=8)
    for number in range(100):
        house.read(10.0 * number)
        assert store.count("spare") <= 8
    told = house.told_at(HISTORY)
    assert 3 <= len(told) and told[0] == texts(0)[0] and told == sorted(told)
    assert len(told) + store.count("thinned") == 99


def test_of_a_radio_meter_nothing_is_left_out(store: Store) -> None:
    house = House(store, max_history=3)
    for number in range(20):
        one = made(10.0 * number)
        house.deliver(replace(one, lane=Lane.WIRELESS, gateway_id="gw1", ingest_id=f"t{number}"))
    assert [one["ingest_id"] for one in house.messages(HISTORY)] == [f"t{number}" for number in range(19)]
    assert (store.count("thinned"), store.count("spare")) == (0, 0)


def test_a_hidden_device_has_no_history(store: Store) -> None:
    house = House(store, guests=GuestList([Guest("meter_1", "meter_1", "Neighbour", True)]))
    for after_s in (0, 10):
        house.deliver(replace(made(after_s), lane=Lane.WIRELESS))
    assert rows(store, "SELECT topic FROM mqtt_queue") == []
