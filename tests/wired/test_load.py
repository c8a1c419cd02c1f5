"""Whether a bus can keep up: the arithmetic, said once, and what happens to the meters of one that cannot."""
from __future__ import annotations

import logging

import pytest

from mbusgw.config.models import DeviceConfig
from mbusgw.registry.registry import Registry
from mbusgw.runtime.metrics import Metrics
from mbusgw.simulator.line import PtyLine
from mbusgw.wired.bus import Bus
from mbusgw.wired.lane import WiredLane
from mbusgw.wired.load import Load
from tests.fakes.clock import FakeClock
from tests.registry.test_registry import reading
from tests.simulator.wire import CLOCK, running_segment
from tests.wait import wait_until
from tests.wired.house import KeepingDelivery, Lane, bus_config, running


def loaded(meters: int, interval_s: float, seconds: float) -> Load:
    load = Load("main")
    for _ in range(5):
        for n in range(meters):
            load.took(f"meter_{n}", interval_s, seconds)
    return load


def test_a_bus_with_time_to_spare_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    state = loaded(20, 15, 0.47).snapshot()
    assert (state.meters, state.seconds_per_read, state.overloaded) == (20, 0.47, False)
    assert state.round_s == pytest.approx(9.4) and state.busy_percent == pytest.approx(62.7, abs=0.1)
    assert not caplog.records


def test_a_bus_that_cannot_keep_up_says_so_once_with_the_arithmetic(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    load = loaded(60, 15, 0.47)
    assert load.snapshot().overloaded
    assert [record.getMessage() for record in caplog.records] == [
        "bus main cannot keep up: 60 meters × 0.47 s a read are 28.2 s, but each is to be read every 15 s; they are "
        "read in turn, none is left out (make the interval 30 s or more, or use a higher baud rate)"
    ]


def test_intervals_of_all_lengths_are_added_up(caplog: pytest.LogCaptureFixture) -> None:
    load = Load("main")
    for _ in range(3):
        for n in range(10):
            load.took(f"often_{n}", 2, 0.25)
            load.took(f"rarely_{n}", 3600, 0.25)
    assert load.snapshot().busy_percent == pytest.approx(125, abs=1)
    assert "% of the time" in caplog.text and "times as long" in caplog.text


def test_the_end_is_said_once_and_not_at_every_wavering(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    load = loaded(33, 15, 0.47)
    load.forget("meter_0")
    load.forget("meter_1")
    assert load.snapshot().overloaded, "97 % is not yet the end of it"
    for n in range(2, 6):
        load.forget(f"meter_{n}")
    assert not load.snapshot().overloaded
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2 and "keeps up again" in messages[1]


def test_the_first_read_is_soon_forgotten_and_meters_without_an_interval_do_not_count() -> None:
    load = Load("main")
    load.took("billed", None, 9)
    assert load.snapshot().meters == 0
    load.took("first", 1, 9)
    assert not load.snapshot().overloaded
    load.took("first", 1, 0.1)
    assert load.snapshot().busy_percent == pytest.approx(10)


@pytest.mark.slow
def test_on_a_bus_that_cannot_keep_up_every_meter_is_read_as_often_as_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running_segment(PtyLine(), meters=12, baudrate=9600) as segment:
        bus = Bus(bus_config(segment.port, baudrate=9600), clock=CLOCK)
        greedy = Lane(bus, {f"g{n}": n for n in range(1, 7)}, interval=0.01)
        modest = Lane(bus, {f"m{n}": n for n in range(7, 13)}, interval=0.5)
        with running(*greedy.workers(), *modest.meters.values()):
            wait_until(lambda: modest.has_read("m7", 5)())
            counts = {name: len(lane.delivery.of(name)) for lane in (greedy, modest) for name in lane.meters}
            assert bus.snapshot().load.overloaded
        assert min(counts.values()) >= 3, counts
        assert max(counts.values()) <= 2 * min(counts.values()), counts
    assert caplog.text.count("cannot keep up") == 1


def quiet_lane(meters: int) -> tuple[WiredLane, Registry, FakeClock]:
    """A lane that is not started, on a clock of the test's own."""
    clock = FakeClock()
    registry = Registry(clock, radio_ttl_s=60)
    lane = WiredLane(
        [bus_config("/nowhere", scan_interval=15)],
        [DeviceConfig(id=f"m{n}", bus="main", address=n) for n in range(1, meters + 1)],
        registry=registry,
        delivery=KeepingDelivery(),
        metrics=Metrics(),
        clock=clock,
    )
    return lane, registry, clock


def first_read(lane: WiredLane, registry: Registry, clock: FakeClock, seconds: float) -> None:
    meter = lane.meters[0]
    lane.buses[0].load.took(meter.config.id, 15, seconds)
    meter._on_read(seconds)
    registry.record(reading(meter.config.id, at=clock.now(), energy=1))


def test_who_waits_for_its_turn_on_a_long_bus_is_not_offline_and_who_is_silent_is() -> None:
    lane, registry, clock = quiet_lane(250)
    first_read(lane, registry, clock, 0.47)
    clock.advance(250 * 0.47 + 1)
    assert not registry.expire()
    clock.advance(3 * 250 * 0.47)
    assert [change.after.device_id for change in registry.expire()] == ["m1"]


def test_on_a_bus_that_keeps_up_a_silent_meter_is_offline_when_it_always_was() -> None:
    lane, registry, clock = quiet_lane(20)
    first_read(lane, registry, clock, 0.47)
    clock.advance(89)
    assert not registry.expire()
    clock.advance(2)
    assert [change.after.device_id for change in registry.expire()] == ["m1"]


def test_home_assistant_is_told_how_often_the_bus_really_manages() -> None:
    lane, _, _ = quiet_lane(60)
    assert lane.interval_s("m1") == 15
    for _ in range(3):
        for meter in lane.meters:
            lane.buses[0].load.took(meter.config.id, 15, 0.5)
    assert lane.interval_s("m1") == pytest.approx(30)
