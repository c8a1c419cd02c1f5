"""The one place that knows how every device is."""
from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.model.device import DeviceState
from mbusgw.model.guests import Guest, GuestList
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.reading import Lane
from mbusgw.model.reception import Reception
from mbusgw.registry.changes import Change
from mbusgw.registry.registry import Registry
from mbusgw.registry.transition import GATEWAY_AHEAD
from mbusgw.runtime.worker import spawn
from tests.fakes.clock import START, FakeClock
from tests.fakes.telegrams import METER, field, reading
from tests.wait import PATIENCE_S

RADIO_TTL_S = 3600.0
WIRED_TTL_S = 90.0


@pytest.fixture
def registry(clock: FakeClock) -> Registry:
    return Registry(clock, radio_ttl_s=RADIO_TTL_S)


@pytest.fixture
def changes(registry: Registry) -> list[Change]:
    seen: list[Change] = []
    registry.observe(seen.append)
    return seen


def state(registry: Registry, device_id: str = "meter_1") -> DeviceState:
    found = registry.get(device_id)
    assert found is not None
    return found


def values(registry: Registry, device_id: str = "meter_1") -> dict[str, object]:
    return {name: field.value for name, field in state(registry, device_id).fields.items()}


# ------------------------------------------------------------------ who there is
def test_a_configured_device_is_known_and_offline_before_it_was_ever_read(registry: Registry) -> None:
    registry.expect("meter_1", name="Heat ground floor", ttl_s=WIRED_TTL_S)
    assert state(registry) == DeviceState("meter_1", "Heat ground floor", expected=True)
    assert not state(registry).online


def test_a_listed_radio_meter_is_expected_until_it_is_heard_and_listed_ever_after(clock: FakeClock) -> None:
    guests = GuestList([Guest("els_12345678", "gas", "Gas"), Guest("kam_1", "next_door", "Next door", hidden=True)])
    registry = Registry(clock, radio_ttl_s=RADIO_TTL_S, guests=guests)
    registry.expect_guests()
    gas = state(registry, "gas")
    assert (gas.name, gas.online, gas.expected, gas.last_error) == ("Gas", False, True, "it was not heard yet")
    assert gas.lane is Lane.WIRELESS and gas.read_at is None and not gas.fields
    assert state(registry, "next_door").hidden
    assert registry.expire() == []
    change = registry.record(reading("gas", at=clock.now(), lane=Lane.WIRELESS, energy=1))
    assert change.availability and change.after.online and change.after.last_error is None and change.after.expected
    later = Registry(clock, radio_ttl_s=RADIO_TTL_S, guests=guests)
    later.expect_guests()
    later.restore(registry.snapshot().values())
    assert state(later, "gas").online and state(later, "gas").stale and state(later, "gas").expected
    assert state(later, "next_door").last_error == "it was not heard yet"
    clock.advance(RADIO_TTL_S)
    assert [change.after.device_id for change in later.expire()] == ["gas"]


def test_an_unconfigured_device_becomes_known_by_its_first_reading(registry: Registry) -> None:
    assert registry.get("els_12345678") is None
    registry.record(reading("els_12345678", lane=Lane.WIRELESS, energy=1))
    found = state(registry, "els_12345678")
    assert found.online and found.name == "els_12345678" and found.version == 1


def test_a_new_name_and_time_to_live_keep_what_is_known(registry: Registry, clock: FakeClock) -> None:
    registry.record(reading(energy=1))
    registry.expect("meter_1", name="New name", ttl_s=10)
    assert state(registry).name == "New name" and values(registry) == {"energy": 1} and state(registry).online
    clock.advance(10)
    assert [change.after.device_id for change in registry.expire()] == ["meter_1"]


# ------------------------------------------------------------------ readings
def test_each_reading_raises_the_version_by_one(registry: Registry) -> None:
    assert [registry.record(reading(energy=number)).after.version for number in (1, 1, 2)] == [1, 2, 3]


def test_a_reading_brings_everything_the_header_says(registry: Registry) -> None:
    registry.expect("meter_1", name="Heat", ttl_s=WIRED_TTL_S)
    registry.record(replace(reading(access_no=77, energy=1), problems=("x",), gateway_id="gw", rssi_dbm=-60.0))
    found = state(registry)
    assert (found.meter, found.access_no, found.status, found.read_at) == (METER, 77, 0, START)
    assert (found.manufacturer_data, found.problems) == (b"\x01\xfe", ("x",))
    assert (found.gateway_id, found.rssi_dbm) == ("gw", -60)
    assert found.name == "Heat"


def test_only_what_has_another_value_or_unit_is_news(registry: Registry) -> None:
    registry.record(reading(energy=1, volume=Decimal("2.0"), power=3))
    change = registry.record(reading(energy=1, volume=Decimal("2.00"), power=4, flow=None))
    assert change.fields == {"power", "flow"}
    kwh = replace(field("energy", 1, "kWh"), record=None)  # no counter, whose unit would be doubted
    registry.record(replace(reading("meter_2"), fields=MappingProxyType({"energy": kwh})))
    other_unit = replace(reading("meter_2"), fields=MappingProxyType({"energy": replace(kwh, unit="GJ")}))
    assert registry.record(other_unit).fields == {"energy"}


def test_fields_that_a_telegram_does_not_carry_stay(registry: Registry) -> None:
    registry.record(reading(energy=1, volume=2))
    registry.record(reading(energy=5))
    assert values(registry) == {"energy": 5, "volume": 2}


def test_a_value_the_meter_no_longer_stands_by_is_news(registry: Registry) -> None:
    registry.record(reading(energy=1))
    assert registry.record(reading(energy=None)).fields == {"energy"}
    assert values(registry) == {"energy": None}


def test_an_older_reading_only_fills_gaps(registry: Registry) -> None:
    registry.record(reading(access_no=9, energy=5))
    change = registry.record(reading(at=START - timedelta(hours=1), access_no=1, energy=4, volume=7))
    assert values(registry) == {"energy": 5, "volume": 7}
    assert change.fields == {"volume"}
    assert state(registry).read_at == START and state(registry).access_no == 9
    assert state(registry).version == 2


def test_an_older_reading_does_not_bring_a_device_back(registry: Registry, clock: FakeClock) -> None:
    registry.record(reading(energy=5))
    clock.advance(RADIO_TTL_S)
    registry.expire()
    registry.record(reading(at=START - timedelta(hours=1), energy=4))
    assert not state(registry).online


def test_after_the_clock_was_set_back_new_readings_still_count(registry: Registry, clock: FakeClock) -> None:
    registry.record(reading(energy=5))
    clock.set_wall(START - timedelta(hours=2))
    registry.record(reading(at=clock.now(), energy=6))
    assert values(registry) == {"energy": 6}
    assert state(registry).read_at == clock.now()


def test_a_gateway_whose_clock_is_a_little_ahead_does_not_turn_the_order_round(
    registry: Registry, clock: FakeClock
) -> None:
    ahead = START + GATEWAY_AHEAD - timedelta(seconds=1)
    registry.record(reading(at=ahead, lane=Lane.WIRELESS, energy=6))
    registry.record(reading(at=ahead - timedelta(seconds=10), lane=Lane.WIRELESS, energy=5))
    assert values(registry) == {"energy": 6}


@given(st.permutations(range(5)))
def test_whatever_the_order_of_arrival_the_newest_reading_wins(order: list[int]) -> None:
    clock = FakeClock()
    clock.advance(60)
    registry = Registry(clock, radio_ttl_s=RADIO_TTL_S)
    for number in order:
        registry.record(reading(at=START + timedelta(seconds=number), access_no=number, energy=number))
    assert values(registry) == {"energy": 4}
    assert state(registry).access_no == 4
    assert state(registry).version == 5


# ------------------------------------------------------------------ failures and silence
def test_a_failed_read_is_remembered_but_takes_nobody_offline(registry: Registry) -> None:
    registry.record(reading(energy=1))
    registry.failed("meter_1", "NoAnswer: silence")
    assert state(registry).online and state(registry).last_error == "NoAnswer: silence"
    registry.record(reading(energy=1))
    assert state(registry).last_error is None
    registry.failed("nobody", "x")
    assert registry.get("nobody") is None


def test_a_device_goes_offline_exactly_when_its_time_to_live_is_over(
    registry: Registry, clock: FakeClock, changes: list[Change]
) -> None:
    registry.expect("meter_1", name="Heat", ttl_s=WIRED_TTL_S)
    registry.record(reading(energy=1))
    clock.advance(WIRED_TTL_S - 0.01)
    assert registry.expire() == []
    clock.advance(0.01)
    (change,) = registry.expire()
    assert change.availability and not change.after.online and change.fields == frozenset()
    assert change.after.version == change.before.version + 1
    assert values(registry) == {"energy": 1}, "its last values stay"
    assert changes[-1] == change
    assert registry.expire() == [], "said once"


def test_every_reading_gives_the_full_time_again(registry: Registry, clock: FakeClock) -> None:
    registry.expect("meter_1", name="Heat", ttl_s=WIRED_TTL_S)
    for _ in range(5):
        registry.record(reading(at=clock.now(), energy=1))
        clock.advance(WIRED_TTL_S - 1)
        assert registry.expire() == []


def test_a_wall_clock_that_jumps_takes_nobody_offline(registry: Registry, clock: FakeClock) -> None:
    registry.record(reading(energy=1))
    clock.set_wall(START + timedelta(days=400))
    assert registry.expire() == []


def test_a_device_that_was_never_read_does_not_go_offline_again(registry: Registry, clock: FakeClock) -> None:
    registry.expect("meter_1", name="Heat", ttl_s=WIRED_TTL_S)
    clock.advance(10 * WIRED_TTL_S)
    assert registry.expire() == []


def test_a_device_that_comes_back_is_news_of_availability(registry: Registry, clock: FakeClock) -> None:
    registry.record(reading(energy=1))
    assert not registry.record(reading(energy=1)).availability
    clock.advance(RADIO_TTL_S)
    registry.expire()
    assert registry.record(reading(at=clock.now(), energy=1)).availability


# ------------------------------------------------------------------ changes
def test_the_first_reading_ever_is_news_of_availability_and_structure(registry: Registry) -> None:
    change = registry.record(reading(energy=1))
    assert change.availability and change.structure


def test_a_new_field_or_another_meter_is_news_of_structure(registry: Registry) -> None:
    registry.record(reading(energy=1))
    assert not registry.record(reading(energy=2)).structure
    assert registry.record(reading(energy=2, volume=1)).structure
    assert registry.record(reading(energy=2, meter=MeterIdentity("87654321", "ELS", 0x33, 3))).structure
    assert not registry.record(reading(energy=2, meter=None)).structure, "a telegram that names nobody is no exchange"


def test_a_forgotten_device_is_not_known_any_more(registry: Registry, clock: FakeClock) -> None:
    registry.expect("meter_1", name="Heat", ttl_s=WIRED_TTL_S)
    registry.record(reading("meter_1", energy=1))
    registry.forget("meter_1")
    registry.failed("meter_1", "no answer")
    clock.advance(WIRED_TTL_S)
    assert registry.get("meter_1") is None and registry.expire() == [] and not registry.snapshot()
    registry.forget("meter_1")


def test_all_observers_get_all_changes_outside_the_lock(registry: Registry, changes: list[Change]) -> None:
    asked: list[object] = []
    registry.observe(lambda change: asked.append(registry.get(change.after.device_id)))
    first, second = registry.record(reading(energy=1)), registry.record(reading(energy=2))
    assert changes == [first, second]
    assert asked == [first.after, second.after]


# ------------------------------------------------------------------ a restart
def stored(age_s: float, *, online: bool = True, device_id: str = "meter_1") -> DeviceState:
    before = DeviceState(device_id, "Old name", version=41)
    return replace(before.read(reading(device_id, at=START - timedelta(seconds=age_s), energy=5)), online=online)


def test_what_an_earlier_run_knew_is_stale_until_it_is_read_again(registry: Registry, changes: list[Change]) -> None:
    registry.expect("meter_1", name="New name", ttl_s=WIRED_TTL_S)
    registry.restore([stored(10)])
    found = state(registry)
    assert found.stale and found.online and found.version == 43
    assert found.name == "New name" and values(registry) == {"energy": 5}
    assert changes == [], "whoever restores says so himself"
    change = registry.record(reading(energy=5))
    assert not change.after.stale and change.after.version == 44
    assert change.fields == frozenset() and not change.availability and not change.structure


@pytest.mark.parametrize(("age_s", "online"), [(0, True), (89, True), (90, False), (100_000, False)])
def test_a_device_whose_time_passed_while_we_were_down_is_offline(
    registry: Registry, age_s: float, online: bool
) -> None:
    registry.expect("meter_1", name="Heat", ttl_s=WIRED_TTL_S)
    registry.restore([stored(age_s)])
    assert state(registry).online is online


def test_a_quick_restart_shows_nobody_as_gone(registry: Registry, clock: FakeClock) -> None:
    registry.expect("meter_1", name="Heat", ttl_s=WIRED_TTL_S)
    registry.restore([stored(85)])
    clock.advance(WIRED_TTL_S - 1)
    assert registry.expire() == []
    clock.advance(1)
    assert len(registry.expire()) == 1


def test_a_device_that_was_offline_stays_so_until_it_is_read(registry: Registry) -> None:
    registry.restore([stored(10, online=False)])
    assert not state(registry).online
    assert registry.record(reading(energy=5)).availability


def test_a_radio_meter_of_an_earlier_run_has_the_time_of_radio_meters(registry: Registry) -> None:
    registry.restore([stored(RADIO_TTL_S - 1, device_id="els_1"), stored(RADIO_TTL_S, device_id="els_2")])
    assert state(registry, "els_1").online and not state(registry, "els_2").online
    assert state(registry, "els_1").name == "Old name"


def test_a_state_without_data_is_not_called_stale(registry: Registry) -> None:
    registry.restore([DeviceState("meter_1", "meter_1", version=7)])
    assert not state(registry).stale and state(registry).version == 8


# ------------------------------------------------------------------ who is asked
def test_what_a_breaker_does_is_told_once_and_from_where_it_was_last_told(registry: Registry) -> None:
    registry.expect("meter_1", name="Heat", ttl_s=WIRED_TTL_S)
    registry.polled("meter_1", "closed")
    assert not registry.untold(), "that it is asked is no news, but the first reading will say it"
    assert state(registry).breaker == "closed"
    for breaker in ("closed", "open", "half_open", "half_open", "open"):
        registry.polled("meter_1", breaker)
    told = registry.untold()
    assert [(change.before.breaker, change.after.breaker) for change in told] == [("closed", "open")]
    assert not registry.untold() and state(registry).breaker == "open"
    registry.record(reading(energy=1))
    assert state(registry).breaker == "open", "a reading says nothing about it; the meter's thread does"


def test_of_a_device_that_is_forgotten_nothing_is_told_later(registry: Registry) -> None:
    registry.expect("meter_1", name="Heat", ttl_s=WIRED_TTL_S)
    registry.polled("meter_1", "open")
    registry.forget("meter_1")
    registry.polled("meter_1", "closed")
    assert not registry.untold() and registry.get("meter_1") is None


# ------------------------------------------------------------------ threads
def test_a_snapshot_is_one_moment_and_does_not_change(registry: Registry) -> None:
    registry.record(reading("a", energy=1))
    snapshot = registry.snapshot()
    registry.record(reading("a", energy=2))
    registry.record(reading("b", energy=2))
    assert set(snapshot) == {"a"}
    assert snapshot["a"].fields["energy"].value == 1
    with pytest.raises(TypeError):
        snapshot["c"] = snapshot["a"]  # type: ignore[index]


def test_no_change_is_lost_or_mixed_between_threads(clock: FakeClock) -> None:
    registry = Registry(clock, radio_ttl_s=RADIO_TTL_S)
    seen: list[Change] = []
    registry.observe(seen.append)
    torn: list[str] = []
    start = threading.Barrier(5)

    def record(who: int) -> None:
        start.wait(PATIENCE_S)
        for number in range(200):
            registry.record(reading("shared", a=who * 1000 + number, b=who * 1000 + number))
            registry.record(reading(f"own{who}", a=number))

    def look() -> None:
        start.wait(PATIENCE_S)
        for _ in range(500):
            for found in registry.snapshot().values():
                if "b" in found.fields and found.fields["a"].value != found.fields["b"].value:
                    torn.append(found.device_id)

    jobs: list[Callable[[], None]] = [lambda who=who: record(who) for who in range(4)]  # type: ignore[misc]
    threads = [spawn(f"t{number}", job) for number, job in enumerate([*jobs, look])]
    for thread in threads:
        thread.join(PATIENCE_S)
    assert torn == []
    assert state(registry, "shared").version == 800
    shared = [change for change in seen if change.after.device_id == "shared"]
    assert sorted(change.after.version for change in shared) == list(range(1, 801))
    assert all(change.after.version == change.before.version + 1 for change in seen)
    assert all(state(registry, f"own{who}").fields["a"].value == 199 for who in range(4))


# ------------------------------------------------------------------ radio meters
def hear(registry: Registry, clock: FakeClock, device_id: str = "els_12345678") -> None:
    heard = (Reception("gw1", -70.0, clock.now()),)
    registry.record(replace(reading(device_id, at=clock.now(), lane=Lane.WIRELESS, energy=1), receptions=heard))


def learn(registry: Registry, clock: FakeClock, interval_s: float = 60.0) -> None:
    for _ in range(20):
        hear(registry, clock)
        clock.advance(interval_s)


def test_a_radio_meter_is_offline_after_three_of_its_own_intervals(registry: Registry, clock: FakeClock) -> None:
    learn(registry, clock)
    clock.advance(110)
    assert registry.expire() == []
    clock.advance(30)
    assert [change.after.online for change in registry.expire()] == [False]
    hear(registry, clock)
    assert state(registry, "els_12345678").online


def test_while_radio_meters_keep_silent_by_design_none_goes_offline(clock: FakeClock) -> None:
    quiet = [False]
    registry = Registry(clock, radio_ttl_s=RADIO_TTL_S, is_quiet=lambda moment: quiet[0])
    registry.expect("wired", name="wired", ttl_s=WIRED_TTL_S)
    registry.record(reading("wired", energy=1))
    learn(registry, clock)
    quiet[0] = True
    clock.advance(36_000)
    assert [change.after.device_id for change in registry.expire()] == ["wired"]
    quiet[0] = False
    clock.advance(100)
    assert registry.expire() == [], "its time begins again with the end of the quiet"
    clock.advance(100)
    assert [change.after.device_id for change in registry.expire()] == ["els_12345678"]


def test_a_quiet_time_is_not_taken_for_the_meters_interval(clock: FakeClock) -> None:
    quiet = [False]
    registry = Registry(clock, radio_ttl_s=RADIO_TTL_S, is_quiet=lambda moment: quiet[0])
    learn(registry, clock)
    quiet[0] = True
    clock.advance(36_000)
    hear(registry, clock)
    radio = state(registry, "els_12345678").radio
    assert radio is not None and max(radio.gaps_s) == 60


def test_what_was_learned_survives_a_restart_but_the_pause_of_it_is_no_interval(
    registry: Registry, clock: FakeClock
) -> None:
    learn(registry, clock)
    again = Registry(clock, radio_ttl_s=RADIO_TTL_S)
    again.restore(registry.snapshot().values())
    clock.advance(5000)
    hear(again, clock)
    radio = state(again, "els_12345678").radio
    assert radio is not None and radio.interval_s == 60 and max(radio.gaps_s) == 60
    clock.advance(250)
    assert [change.after.device_id for change in again.expire()] == ["els_12345678"]


@pytest.mark.parametrize("year", [1970, 2099])
def test_a_clock_that_jumps_and_is_put_right_again_leaves_no_trace_in_what_is_learned(
    registry: Registry, clock: FakeClock, year: int
) -> None:
    learn(registry, clock)
    right = clock.now()
    clock.set_wall(datetime(year, 1, 1, tzinfo=timezone.utc))
    for _ in range(3):
        hear(registry, clock)
        clock.advance(60)
    clock.set_wall(right + timedelta(seconds=180))
    for _ in range(5):
        hear(registry, clock)
        clock.advance(60)
    device = state(registry, "els_12345678")
    radio = device.radio
    assert radio is not None and max(radio.gaps_s) <= 240 and radio.interval_s == 60
    assert radio.completeness is not None and radio.completeness > 0.8
    assert radio.last_at == device.read_at == clock.now() - timedelta(seconds=60)
    assert radio.best is not None and radio.best.heard_at == radio.last_at
    clock.advance(150)
    assert [change.after.device_id for change in registry.expire()] == ["els_12345678"]


def test_a_further_reception_is_no_news(registry: Registry, clock: FakeClock, changes: list[Change]) -> None:
    hear(registry, clock)
    version = state(registry, "els_12345678").version
    registry.heard("els_12345678", Reception("gw2", -50.0, clock.now()))
    registry.heard("nobody", Reception("gw2", -50.0, clock.now()))
    found = state(registry, "els_12345678")
    assert found.version == version and len(changes) == 1
    assert found.radio is not None and found.radio.best is not None and found.radio.best.gateway_id == "gw2"
