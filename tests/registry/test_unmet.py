"""Records that the configuration speaks of and the meter does not have; factors that change."""
from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType

import pytest

from mbusgw.model.fields import name_fields
from mbusgw.model.guests import Guest, GuestList
from mbusgw.model.quantity import QUANTITIES
from mbusgw.model.reading import Lane, Reading
from mbusgw.model.record import Record
from mbusgw.model.wishes import MeterWishes, RecordWish, RecordWishes
from mbusgw.registry.registry import Registry
from mbusgw.registry.unmet import PATIENCE, UnmetWishes
from tests.fakes.clock import FakeClock
from tests.fakes.telegrams import reading


def wanted(**of: RecordWish) -> MeterWishes:
    return MeterWishes(records=RecordWishes(tuple(of.items())))


def read(registry: Registry, clock: FakeClock, watt_hours: int, *, lane: Lane = Lane.WIRED) -> None:
    clock.advance(15)
    state = registry.get("meter_1")
    wishes = state.wishes if state else registry.guests.wishes("meter_1")
    record = Record(QUANTITIES["energy"], "Wh", Decimal(watt_hours), dib=b"\x04", vib=b"\x03", data=b"\x01")
    fields = MappingProxyType(name_fields([record], wishes.records))
    one: Reading = replace(reading(at=clock.now(), lane=lane), fields=fields)
    registry.record(one)


def test_a_name_that_the_meter_does_not_have_is_told_once_with_those_that_it_has(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    registry = Registry(clock, radio_ttl_s=3600)
    registry.observe(UnmetWishes().changed)
    registry.expect("meter_1", name="M", ttl_s=90, wishes=wanted(enrgy=RecordWish(), energy=RecordWish()))
    for _ in range(3):
        read(registry, clock, 1000)
    [record] = caplog.records
    assert record.getMessage() == (
        "meter_1: `records` speaks of enrgy, which the meter does not have (did you mean `energy`?); it has energy"
    )


def test_a_radio_meter_has_time_to_send_all_its_records(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    guests = GuestList([Guest("els_12345678", "meter_1", "M", wishes=wanted(volume=RecordWish()))])
    registry = Registry(clock, radio_ttl_s=3600, guests=guests)
    registry.observe(UnmetWishes().changed)
    for number in range(PATIENCE[Lane.WIRELESS]):
        assert not caplog.records, number
        read(registry, clock, 1000, lane=Lane.WIRELESS)
    assert "speaks of volume" in caplog.text


def test_another_factor_is_no_jump_of_the_counter() -> None:
    clock = FakeClock()
    registry = Registry(clock, radio_ttl_s=3600)
    registry.expect("meter_1", name="M", ttl_s=90)
    read(registry, clock, 5_000_000)
    read(registry, clock, 1000)  # is in quarantine
    registry.expect("meter_1", name="M", ttl_s=90, wishes=wanted(energy=RecordWish(factor=Decimal(10))))
    state = registry.get("meter_1")
    assert state is not None and state.fields["energy"].value == 50_000 and not state.quarantine
    read(registry, clock, 5_001_000)
    state = registry.get("meter_1")
    assert state is not None and state.fields["energy"].value == 50_010 and not state.quarantine


def test_observers_learn_of_another_unit_before_any_value_is_read_in_it() -> None:
    clock = FakeClock()
    registry = Registry(clock, radio_ttl_s=3600)
    registry.expect("meter_1", name="M", ttl_s=90)
    read(registry, clock, 5_000_000)
    retyped: list[frozenset[str]] = []
    registry.observe(lambda change: retyped.append(change.retyped))
    registry.expect("meter_1", name="M", ttl_s=90, wishes=wanted(energy=RecordWish(name="Heat")))
    registry.expect("meter_1", name="M", ttl_s=90, wishes=wanted(energy=RecordWish(unit="MWh")))
    assert retyped == [{"energy"}]
    left = registry.get("meter_1")
    assert left is not None
    second = Registry(clock, radio_ttl_s=3600)
    second.observe(lambda change: retyped.append(change.retyped))
    second.expect("meter_1", name="M", ttl_s=90)
    second.restore([left])
    assert retyped == [{"energy"}, {"energy"}]


def test_a_name_only_changes_nothing_of_what_is_in_quarantine() -> None:
    clock = FakeClock()
    registry = Registry(clock, radio_ttl_s=3600)
    registry.expect("meter_1", name="M", ttl_s=90)
    read(registry, clock, 5_000_000)
    read(registry, clock, 1000)
    registry.expect("meter_1", name="M", ttl_s=90, wishes=wanted(energy=RecordWish(name="Heat")))
    state = registry.get("meter_1")
    assert state is not None and state.fields["energy"].value == 5000
    suspect = state.quarantine["energy"]
    assert suspect.field.wish is not None and suspect.field.wish.name == "Heat"


def test_states_of_an_earlier_run_are_as_wanted_now() -> None:
    clock = FakeClock()
    first = Registry(clock, radio_ttl_s=3600)
    first.expect("meter_1", name="M", ttl_s=90, wishes=wanted(energy=RecordWish(factor=Decimal(10))))
    read(first, clock, 5_000_000)
    left = first.get("meter_1")
    assert left is not None
    second = Registry(clock, radio_ttl_s=3600)
    second.expect("meter_1", name="M", ttl_s=90)
    clock.advance(timedelta(seconds=10).total_seconds())
    second.restore([left])
    state = second.get("meter_1")
    assert state is not None and state.fields["energy"].value == 5000 and state.fields["energy"].wish is None
