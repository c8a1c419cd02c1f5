"""The lane whose buses and meters are exchanged while the others go on."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mbusgw.config.models import BusConfig, DeviceConfig
from mbusgw.model.errors import NoAnswer
from mbusgw.registry.registry import Registry
from mbusgw.runtime.metrics import Metrics
from mbusgw.wired.lane import LaneChange, WiredLane
from tests.simulator.wire import CLOCK
from tests.wait import PATIENCE_S, wait_until
from tests.wired.house import KeepingDelivery


def bus(name: str, **options: Any) -> BusConfig:
    return BusConfig(name=name, port=f"/nowhere/{name}", **options)


def device(device_id: str, on: str, address: int, **options: Any) -> DeviceConfig:
    return DeviceConfig(id=device_id, bus=on, address=address, **options)


BUSES = [bus("main"), bus("attic")]
DEVICES = [device("one", "main", 1), device("two", "main", 2), device("three", "attic", 1)]


@pytest.fixture
def registry() -> Registry:
    return Registry(CLOCK, radio_ttl_s=60)


@pytest.fixture
def lane(registry: Registry) -> Iterator[WiredLane]:
    lane = WiredLane(
        BUSES, DEVICES, registry=registry, delivery=KeepingDelivery(), metrics=Metrics(), clock=CLOCK
    )
    for worker in lane.workers:
        worker.start()
    yield lane
    for worker in lane.workers:
        worker.stop()
    assert all(worker.join(PATIENCE_S) for worker in lane.workers)


def test_it_begins_with_the_configured_buses_and_every_meter_that_is_switched_on(registry: Registry) -> None:
    devices = [*DEVICES, device("off", "main", 9, enabled=False)]
    lane = WiredLane(BUSES, devices, registry=registry, delivery=KeepingDelivery(), metrics=Metrics(), clock=CLOCK)
    assert [worker.name for worker in lane.workers] == [
        *("bus:main", "bus:attic", "scan:main", "scan:attic"), *("mtr:one", "mtr:two", "mtr:three")
    ]
    assert not any(worker.alive for worker in lane.workers), "nothing runs before it is started"
    assert registry.snapshot().keys() == {"one", "two", "three"}


def test_without_a_difference_nobody_is_touched(lane: WiredLane) -> None:
    before = lane.workers
    assert not lane.change(BUSES, DEVICES)
    assert lane.workers == before and all(worker.alive for worker in before)


def test_a_new_meter_runs_and_the_others_are_the_same_threads(lane: WiredLane, registry: Registry) -> None:
    before = {worker.name: worker.thread_id for worker in lane.workers}
    assert lane.change(BUSES, [*DEVICES, device("four", "attic", 4, name="Four")]) == LaneChange(added=("four",))
    now = {worker.name: worker.thread_id for worker in lane.workers}
    assert now.keys() - before.keys() == {"mtr:four"}
    assert {name: now[name] for name in before} == before
    assert all(worker.alive for worker in lane.workers)
    four = registry.get("four")
    assert four is not None and four.name == "Four"


def test_a_meter_that_is_taken_out_has_ended_when_the_change_is_done(lane: WiredLane) -> None:
    two = lane.meter("two")
    assert two is not None
    assert lane.change(BUSES, [DEVICES[0], DEVICES[2]]) == LaneChange(removed=("two",))
    assert not two.alive and lane.meter("two") is None and lane.meter("one") is not None


def test_a_meter_that_is_switched_off_is_taken_out(lane: WiredLane) -> None:
    switched_off = DEVICES[1].model_copy(update={"enabled": False})
    assert lane.change(BUSES, [DEVICES[0], switched_off, DEVICES[2]]) == LaneChange(removed=("two",))


def test_a_meter_with_other_settings_is_replaced_alone(lane: WiredLane, registry: Registry) -> None:
    one, two, main = lane.meter("one"), lane.meter("two"), lane.bus("main")
    renamed = DEVICES[1].model_copy(update={"name": "Second", "interval": 60.0})
    assert lane.change(BUSES, [DEVICES[0], renamed, DEVICES[2]]) == LaneChange(changed=("two",))
    assert lane.meter("one") is one and lane.bus("main") is main
    assert lane.meter("two") is not two and two is not None and not two.alive
    assert lane.interval_s("two") == 60 and lane.interval_s("one") == 15
    state = registry.get("two")
    assert state is not None and state.name == "Second"


def test_a_bus_with_other_settings_is_replaced_with_its_meters_and_the_other_bus_is_not(lane: WiredLane) -> None:
    attic, three, old = lane.bus("attic"), lane.meter("three"), lane.bus("main")
    change = lane.change([bus("main", baudrate=9600), BUSES[1]], DEVICES)
    assert change == LaneChange(changed=("one", "two"), buses=("main",))
    assert lane.bus("attic") is attic and lane.meter("three") is three
    new = lane.bus("main")
    assert new is not None and new.config.baudrate == 9600 and new.alive and old is not None and not old.alive


def test_a_bus_comes_and_goes_with_its_meters(lane: WiredLane) -> None:
    cellar, five = bus("cellar"), device("five", "cellar", 5)
    assert lane.change([*BUSES, cellar], [*DEVICES, five]) == LaneChange(added=("five",), buses=("cellar",))
    assert lane.bus("cellar") is not None
    assert lane.change(BUSES, DEVICES) == LaneChange(removed=("five",), buses=("cellar",))
    assert lane.bus("cellar") is None and lane.meter("five") is None


def test_on_demand_a_bus_whose_port_is_away_begins_anew(lane: WiredLane) -> None:
    wait_until(lambda: all(bus.snapshot().last_error for bus in lane.buses))
    main = lane.bus("main")
    assert not lane.change(BUSES, DEVICES)
    change = lane.change(BUSES, DEVICES, renew_lost=True)
    assert change == LaneChange(changed=("one", "two", "three"), buses=("attic", "main"))
    assert lane.bus("main") is not main


def test_of_a_meter_that_is_not_here_no_interval_is_known(lane: WiredLane) -> None:
    assert lane.interval_s("els_12345678") is None


def test_what_a_meters_breaker_does_is_known_to_the_registry(registry: Registry) -> None:
    lane = WiredLane(BUSES, DEVICES, registry=registry, delivery=KeepingDelivery(), metrics=Metrics(), clock=CLOCK)
    meter = lane.meters[0]
    for _ in range(5):
        meter._failed(NoAnswer("silent"))
    assert [(change.after.device_id, change.after.breaker) for change in registry.untold()] == [("one", "open")]
